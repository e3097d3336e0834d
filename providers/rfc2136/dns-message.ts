import { encode, type RecordType } from 'dns-packet';

export const TYPE = { A: 1, SOA: 6, TXT: 16, TSIG: 250, ANY: 255 } as const;
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
export const OPCODE = { QUERY: 0, UPDATE: 5 } as const;

/** Header fields that count the records of a section; an update has prerequisites where an answer has answers (RFC 2136, 2). */
const COUNT_AT = { prerequisite: 6, update: 8, additional: 10 } as const;

/** A pointer has 14 bits. */
const LAST_POINTER = 0x3fff;

export interface RawRecord {
  name: string;
  type: number;
  class: number;
  /** Seconds. */
  ttl: number;
  data: Buffer;
}

/**
 * Builds a message of one question and any records. dns-packet writes the head; the records are written here, because an update
 * has some of class NONE and some without data, which dns-packet does not know, and because names have to be compressed.
 */
export class MessageWriter {
  readonly #parts: Buffer[];
  #length: number;
  /** Where a name was written that later ones can point to. */
  readonly #offsets = new Map<string, number>();

  constructor(id: number, opcode: number, question: { name: string; type: RecordType }) {
    const head = encode({ id, type: 'query', flags: opcode << 11, questions: [question] });
    this.#parts = [head];
    this.#length = head.length;
    this.#remember(question.name, 12);
  }

  get length(): number {
    return this.#length;
  }

  add(section: keyof typeof COUNT_AT, record: RawRecord): void {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(record.type, 0);
    fixed.writeUInt16BE(record.class, 2);
    fixed.writeUInt32BE(record.ttl, 4);
    fixed.writeUInt16BE(record.data.length, 8);
    this.#append(this.#compressed(record.name), fixed, record.data);
    const head = this.#parts[0];
    head?.writeUInt16BE(head.readUInt16BE(COUNT_AT[section]) + 1, COUNT_AT[section]);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #append(...parts: Buffer[]): void {
    for (const part of parts) {
      this.#parts.push(part);
      this.#length += part.length;
    }
  }

  #compressed(name: string): Buffer {
    const labels = name.split('.');
    for (let n = 0; n < labels.length; n++) {
      const at = this.#offsets.get(labels.slice(n).join('.'));
      if (at === undefined) continue;
      const written = wireName(labels.slice(0, n).join('.')).subarray(0, -1);
      this.#remember(name, this.#length, n);
      return Buffer.concat([written, Buffer.from([0xc0 | (at >> 8), at & 0xff])]);
    }
    this.#remember(name, this.#length);
    return wireName(name);
  }

  /** Notes where the first `count` endings of a name that is written at `offset` begin. */
  #remember(name: string, offset: number, count = Number.POSITIVE_INFINITY): void {
    const labels = name.split('.');
    for (let n = 0; n < Math.min(count, labels.length) && offset <= LAST_POINTER; n++) {
      this.#offsets.set(labels.slice(n).join('.'), offset);
      offset += 1 + Buffer.byteLength(labels[n] ?? '');
    }
  }
}

/** A name as it is on the wire, uncompressed and in lower case, which is also the form that signatures cover. */
export function wireName(name: string): Buffer {
  const labels = name
    .toLowerCase()
    .split('.')
    .filter((label) => label !== '');
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([Buffer.byteLength(label)]), Buffer.from(label)]),
    Buffer.from([0]),
  ]);
}

/** A value of a record as it is on the wire. Long texts are cut into the pieces of 255 bytes that a TXT record consists of. */
export function wireData(type: 'A' | 'TXT', value: string): Buffer {
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  const text = Buffer.from(value);
  const pieces: Buffer[] = [];
  for (let at = 0; at === 0 || at < text.length; at += 255) {
    const piece = text.subarray(at, at + 255);
    pieces.push(Buffer.from([piece.length]), piece);
  }
  return Buffer.concat(pieces);
}

/** What the head of an answer says; the rest of it is dns-packet's. */
export function readHead(message: Buffer): {
  id: number;
  isAnswer: boolean;
  opcode: number;
  truncated: boolean;
  authoritative: boolean;
  rcode: number;
} {
  const flags = message.readUInt16BE(2);
  return {
    id: message.readUInt16BE(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    truncated: (flags & 0x0200) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    rcode: flags & 0xf,
  };
}

/** The last record of a message and where it begins; null when there is none. Throws RangeError on a message that is cut off. */
export function lastRecord(message: Buffer): (RawRecord & { offset: number }) | null {
  let offset = 12;
  for (let n = message.readUInt16BE(4); n > 0; n--) offset = skipName(message, offset) + 4;
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  let last: (RawRecord & { offset: number }) | null = null;
  for (let n = 0; n < count; n++) {
    const fixed = skipName(message, offset);
    const length = message.readUInt16BE(fixed + 8);
    const end = fixed + 10 + length;
    if (end > message.length) throw new RangeError('a record goes beyond the end of the message');
    if (n === count - 1)
      last = {
        offset,
        name: plainName(message, offset),
        type: message.readUInt16BE(fixed),
        class: message.readUInt16BE(fixed + 2),
        ttl: message.readUInt32BE(fixed + 4),
        data: message.subarray(fixed + 10, end),
      };
    offset = end;
  }
  return last;
}

/** The offset behind a name. */
export function skipName(message: Buffer, start: number): number {
  let offset = start;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    offset += 1 + length;
  }
}

function plainName(message: Buffer, start: number): string {
  const labels: string[] = [];
  let offset = start;
  // A name has at most 127 labels; more steps than that are a circle of pointers.
  for (let steps = 0; steps < 256; steps++) {
    const length = message.readUInt8(offset);
    if (length === 0) return labels.join('.').toLowerCase();
    if (length >= 0xc0) offset = message.readUInt16BE(offset) & LAST_POINTER;
    else {
      labels.push(message.toString('latin1', offset + 1, offset + 1 + length));
      offset += 1 + length;
    }
  }
  throw new RangeError('a name has no end');
}
