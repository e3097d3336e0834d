import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';

/** DER before the 32 bytes of an Ed25519 key in PKCS 8 (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const NAME = 'ssh-ed25519';

export interface HostKey {
  /** In OpenSSH's own format, as it stands in /etc/ssh. */
  privateKey: string;
  /** `ssh-ed25519 AAAA…` */
  publicKey: string;
}

/**
 * The SSH host key that a machine is born with. It follows from the order alone, so that an order that is repeated asks for the same
 * machine, byte by byte. The order's token cannot be found out from it.
 */
export function hostKeyOf(order: { token: string; intent: string }): HostKey {
  const bytes = Buffer.from(hkdfSync('sha256', order.token, order.intent, 'cerebro ssh host key', 36));
  const [seed, check] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const point = rawPublicKey(key);
  const blob = Buffer.concat([sshString(NAME), sshString(point)]);
  const secret = padded(
    Buffer.concat([
      check,
      check,
      sshString(NAME),
      sshString(point),
      sshString(Buffer.concat([seed, point])),
      sshString(''),
    ]),
  );
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    sshString('none'),
    sshString('none'),
    sshString(''),
    uint32(1),
    sshString(blob),
    sshString(secret),
  ]);
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateKey: ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n'),
    publicKey: `${NAME} ${blob.toString('base64')}`,
  };
}

function rawPublicKey(key: KeyObject): Buffer {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url');
}

function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** To a multiple of 8 bytes, with 1, 2, 3 … as the format has it. */
function padded(bytes: Buffer): Buffer {
  const missing = (8 - (bytes.length % 8)) % 8;
  return Buffer.concat([bytes, Buffer.from(Array.from({ length: missing }, (_, i) => i + 1))]);
}
