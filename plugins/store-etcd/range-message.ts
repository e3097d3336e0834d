/**
 * The two messages of etcd's call `Range`, as protobuf has them (etcd's own rpc.proto and kv.proto), as far as a list needs them.
 * Fields that are not known are passed over, as the format wants.
 */

/** How a field's value is written: a number in groups of seven bits; eight bytes; a length and so many bytes; four bytes. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const REQUEST = { key: 1, rangeEnd: 2, limit: 3, revision: 4 } as const;
const RESPONSE = { header: 1, kvs: 2, more: 3 } as const;
const HEADER = { revision: 3 } as const;
const KEY_VALUE = { key: 1, modRevision: 3, value: 5 } as const;

export interface RangeQuery {
  key: Buffer;
  rangeEnd: Buffer;
  limit: number;
  /** 0: as it is now. */
  revision: number;
}

export interface FoundKey {
  /** Parts of the message, which they keep in memory. */
  key: Buffer;
  value: Buffer;
  modRevision: number;
}

export interface RangePage {
  /** Of the whole store, when this was read. */
  revision: number;
  found: FoundKey[];
  /** Whether there are keys beyond the limit. */
  more: boolean;
}

export function rangeRequest({ key, rangeEnd, limit, revision }: RangeQuery): Buffer {
  return Buffer.concat([
    bytesField(REQUEST.key, key),
    bytesField(REQUEST.rangeEnd, rangeEnd),
    numberField(REQUEST.limit, limit),
    numberField(REQUEST.revision, revision),
  ]);
}

/** Throws `RangeError` for what is no such message. */
export function rangeResponse(message: Buffer): RangePage {
  const page: RangePage = { revision: 0, found: [], more: false };
  const fields = new Fields(message, 0, message.length);
  while (fields.next()) {
    if (fields.field === RESPONSE.header) page.revision = revisionIn(fields.inner());
    else if (fields.field === RESPONSE.kvs) page.found.push(foundKey(fields.inner()));
    else if (fields.field === RESPONSE.more) page.more = fields.number !== 0;
  }
  return page;
}

function revisionIn(fields: Fields): number {
  let revision = 0;
  while (fields.next()) if (fields.field === HEADER.revision) revision = fields.number;
  return revision;
}

function foundKey(fields: Fields): FoundKey {
  const found: FoundKey = { key: Buffer.alloc(0), value: Buffer.alloc(0), modRevision: 0 };
  while (fields.next()) {
    if (fields.field === KEY_VALUE.key) found.key = fields.bytes();
    else if (fields.field === KEY_VALUE.value) found.value = fields.bytes();
    else if (fields.field === KEY_VALUE.modRevision) found.modRevision = fields.number;
  }
  return found;
}

/** Goes over the fields of a message, or of one within it. */
class Fields {
  /** Of the field that was come to last: its number, and its value where that is a number. */
  field = 0;
  number = 0;
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;
  #from = 0;

  constructor(buffer: Buffer, from: number, end: number) {
    this.#buffer = buffer;
    this.#at = from;
    this.#end = end;
  }

  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    this.field = tag >>> 3;
    const wire = tag & 7;
    this.#from = this.#at;
    if (wire === WIRE.varint) this.number = this.#varint();
    else if (wire === WIRE.bytes) {
      const length = this.#varint();
      this.#from = this.#at;
      this.#at += length;
    } else if (wire === WIRE.fixed64) this.#at += 8;
    else if (wire === WIRE.fixed32) this.#at += 4;
    else throw new RangeError(`there is no wire type ${wire}`);
    if (this.#at > this.#end) throw new RangeError('a field is longer than its message');
    return true;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(this.#from, this.#at);
  }

  inner(): Fields {
    return new Fields(this.#buffer, this.#from, this.#at);
  }

  /** As a double: revisions are far from the 53 bits that it has. */
  #varint(): number {
    let value = 0;
    for (let factor = 1; this.#at < this.#end; factor *= 128) {
      const byte = this.#buffer[this.#at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError('a number has no end');
  }
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | WIRE.bytes, ...varint(bytes.length)]), bytes]);
}

function numberField(field: number, value: number): Buffer {
  return Buffer.from([(field << 3) | WIRE.varint, ...varint(value)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}
