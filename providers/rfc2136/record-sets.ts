import type { Answer } from 'dns-packet';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';

/** Gathers single A and TXT records into sets; others are passed over. */
export class RecordSets {
  readonly #sets = new Map<string, DnsRecordSet & { values: string[] }>();

  add(record: Answer): void {
    if (record.type !== 'A' && record.type !== 'TXT') return;
    const name = record.name.toLowerCase();
    const value = record.type === 'A' ? record.data : textOf(record.data);
    const key = `${name}/${record.type}`;
    const set = this.#sets.get(key);
    if (!set) this.#sets.set(key, { name, type: record.type, ttl: record.ttl ?? 0, values: [value] });
    else if (!set.values.includes(value)) set.values.push(value);
  }

  all(): DnsRecordSet[] {
    return [...this.#sets.values()];
  }
}

/** A text that is over 255 bytes long is in pieces. */
function textOf(data: string | Buffer | (string | Buffer)[]): string {
  const pieces = Array.isArray(data) ? data : [data];
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString('utf8');
}
