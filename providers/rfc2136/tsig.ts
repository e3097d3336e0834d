import { timingSafeEqual } from 'node:crypto';
import { CLASS, lastRecord, skipName, TYPE, wireName } from './dns-message.ts';
import type { TsigKey } from './tsig-key.ts';

/** How far the two clocks may be apart, in seconds (RFC 8945, 10). */
export const FUDGE_SECONDS = 300;
/** So many unsigned messages may stand between two signed ones (RFC 8945, 5.3.1). */
const MAX_UNSIGNED = 99;

/** The `error` of a TSIG record that has one (RFC 8945, 3). */
export const TSIG_ERRORS: Readonly<Record<number, string>> = {
  16: 'BADSIG',
  17: 'BADKEY',
  18: 'BADTIME',
  22: 'BADTRUNC',
};

/** Signs a request (RFC 8945, 5.1). `mac` is needed to check the answer. */
export function signRequest(message: Buffer, key: TsigKey, nowMs: number): { message: Buffer; mac: Buffer } {
  const time = timeBytes(Math.floor(nowMs / 1000), FUDGE_SECONDS);
  const mac = key.mac([message, variables(key, time, 0, Buffer.alloc(0))]);
  const data = Buffer.concat([
    wireName(key.algorithm),
    time,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const fixed = Buffer.concat([uint16(TYPE.TSIG), uint16(CLASS.ANY), Buffer.alloc(4), uint16(data.length)]);
  const signed = Buffer.concat([message, wireName(key.name), fixed, data]);
  signed.writeUInt16BE(signed.readUInt16BE(10) + 1, 10);
  return { message: signed, mac };
}

/** `body` is the message without its TSIG record. */
export type Verdict =
  | { kind: 'signed'; body: Buffer; error: string | null; serverTime: number | null }
  /** Nothing of it can be believed but that we were refused. */
  | { kind: 'unsigned'; body: Buffer; error: string | null }
  | { kind: 'bad'; reason: string };

/** Checks the messages of one answer in their order: one, or those of a zone transfer, of which some may be unsigned (5.3.1). */
export class TsigCheck {
  readonly #key: TsigKey;
  readonly #now: () => number;
  #priorMac: Buffer;
  #first = true;
  #unsigned: Buffer[] = [];

  constructor(key: TsigKey, requestMac: Buffer, now: () => number) {
    this.#key = key;
    this.#priorMac = requestMac;
    this.#now = now;
  }

  /** Whether all that was taken so far is covered by a signature. */
  get complete(): boolean {
    return !this.#first && this.#unsigned.length === 0;
  }

  /** Throws RangeError on a message that is cut off. */
  take(message: Buffer): Verdict {
    const record = lastRecord(message);
    if (record?.type !== TYPE.TSIG) {
      if (this.#first) return { kind: 'unsigned', body: message, error: null };
      if (this.#unsigned.push(message) > MAX_UNSIGNED) return { kind: 'bad', reason: 'too much of it is unsigned' };
      return { kind: 'signed', body: message, error: null, serverTime: null };
    }
    const tsig = readTsig(record.data);
    const body = Buffer.from(message.subarray(0, record.offset));
    body.writeUInt16BE(tsig.originalId, 0);
    body.writeUInt16BE(body.readUInt16BE(10) - 1, 10);
    if (tsig.mac.length === 0) return { kind: 'unsigned', body, error: tsig.error };
    // Both are covered by the signature, which is checked with what they have to be.
    if (record.class !== CLASS.ANY || record.ttl !== 0) return { kind: 'bad', reason: 'its signature is malformed' };
    if (record.name !== this.#key.name || tsig.algorithm !== this.#key.algorithm)
      return { kind: 'bad', reason: 'it is signed with another key' };

    const trailer = this.#first ? variables(this.#key, tsig.time, tsig.errorCode, tsig.other) : tsig.time;
    const mac = this.#key.mac([uint16(this.#priorMac.length), this.#priorMac, ...this.#unsigned, body, trailer]);
    if (mac.length !== tsig.mac.length || !timingSafeEqual(mac, tsig.mac))
      return { kind: 'bad', reason: 'its signature is wrong' };
    this.#priorMac = mac;
    this.#unsigned = [];
    this.#first = false;
    // With BADTIME the record repeats our own time; the server's is in `other`.
    const serverTime = tsig.other.length === 6 ? tsig.other.readUIntBE(0, 6) : null;
    const signedAt = tsig.time.readUIntBE(0, 6);
    if (tsig.error === null && Math.abs(signedAt - this.#now() / 1000) > tsig.time.readUInt16BE(6))
      return { kind: 'bad', reason: 'it was signed too long ago, or the clocks differ' };
    return { kind: 'signed', body, error: tsig.error, serverTime };
  }
}

function readTsig(data: Buffer) {
  const at = skipName(data, 0);
  const macLength = data.readUInt16BE(at + 8);
  const afterMac = at + 10 + macLength;
  const errorCode = data.readUInt16BE(afterMac + 2);
  if (afterMac + 6 + data.readUInt16BE(afterMac + 4) !== data.length)
    throw new RangeError('the TSIG record is not as long as it says');
  return {
    algorithm: nameOf(data.subarray(0, at)),
    /** Time and fudge, as they are signed. */
    time: data.subarray(at, at + 8),
    mac: data.subarray(at + 10, afterMac),
    originalId: data.readUInt16BE(afterMac),
    errorCode,
    error: errorCode === 0 ? null : (TSIG_ERRORS[errorCode] ?? `TSIG error ${errorCode}`),
    other: data.subarray(afterMac + 6),
  };
}

/** An uncompressed name. */
function nameOf(wire: Buffer): string {
  const labels: string[] = [];
  for (let at = 0; wire[at]; at += 1 + (wire[at] ?? 0))
    labels.push(wire.toString('latin1', at + 1, at + 1 + (wire[at] ?? 0)));
  return labels.join('.').toLowerCase();
}

/** What is signed beside the message (RFC 8945, 4.3.3). */
function variables(key: TsigKey, time: Buffer, error: number, other: Buffer): Buffer {
  return Buffer.concat([
    wireName(key.name),
    uint16(CLASS.ANY),
    Buffer.alloc(4),
    wireName(key.algorithm),
    time,
    uint16(error),
    uint16(other.length),
    other,
  ]);
}

function timeBytes(seconds: number, fudge: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(seconds, 0, 6);
  bytes.writeUInt16BE(fudge, 6);
  return bytes;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
