import fc from 'fast-check';
import t from 'tap';
import { MessageWriter, OPCODE } from '../../providers/rfc2136/dns-message.ts';
import { signRequest, TsigCheck } from '../../providers/rfc2136/tsig.ts';
import { TsigKey } from '../../providers/rfc2136/tsig-key.ts';

const now = 1_800_000_000_000;
const secret = Buffer.alloc(32, 3);
const key = new TsigKey('k.test', 'hmac-sha256', secret);
const question = new MessageWriter(7, OPCODE.QUERY, { name: 'a.test', type: 'A' }).bytes();
const { mac: requestMac } = signRequest(question, key, now);

/** Signs as a server does: the request's MAC, with its length before it, is signed too (RFC 8945, 5.3). */
class ServerKey extends TsigKey {
  override mac(parts: readonly Buffer[]): Buffer {
    return super.mac([Buffer.from([0, requestMac.length]), requestMac, ...parts]);
  }
}
const answerAt = (at: number): Buffer =>
  signRequest(question, new ServerKey('k.test', 'hmac-sha256', secret), at).message;

function check(message: Buffer): string {
  try {
    return new TsigCheck(key, requestMac, () => now).take(message).kind;
  } catch (error) {
    return error instanceof RangeError ? 'cut off' : `thrown: ${error}`;
  }
}

t.test('an answer is taken for signed when it was, within 300 s', async (t) => {
  for (const seconds of [-299, 0, 299]) t.equal(check(answerAt(now + seconds * 1000)), 'signed');
  for (const seconds of [-302, 302]) t.equal(check(answerAt(now + seconds * 1000)), 'bad');
});

t.test('whatever comes, it is not taken for signed', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      t.ok(['unsigned', 'bad', 'cut off'].includes(check(Buffer.from(bytes))));
    }),
  );
});

// But for its id, which goes in as the TSIG record has it and is looked at elsewhere, and for upper case in the key's name.
t.test('a signed message with any byte changed is not taken for signed', async (t) => {
  const message = answerAt(now);
  fc.assert(
    fc.property(fc.integer({ min: 2, max: message.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      fc.pre(flip !== 0x20);
      const changed = Buffer.from(message);
      changed.writeUInt8(changed.readUInt8(at) ^ flip, at);
      t.ok(['unsigned', 'bad', 'cut off'].includes(check(changed)), `byte ${at} with ${flip}`);
    }),
  );
});
