import { z } from 'zod';
import { labelOf, type WantedSet } from '../../core/contracts/dns-batch.ts';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';

const common = { fqdn: z.string(), ttl: z.number() };
const address = z.object({ ...common, rdata: z.object({ address: z.string() }) });
const text = z.object({ ...common, rdata: z.object({ txtdata: z.string() }) });

/** What AllRecord gives with `detail=Y`: every type that there is, of which these matter. */
const allRecords = z.object({
  a_records: z.array(address).default([]),
  txt_records: z.array(text).default([]),
  cname_records: z.array(z.object({ fqdn: z.string() })).default([]),
});

export interface DynRecords {
  sets: DnsRecordSet[];
  /** Names at which a CNAME stands. */
  aliases: Set<string>;
}

/** Reads the answer of AllRecord; null is that of a name which is not there. Throws ZodError on what is none. */
export function readDynRecords(data: unknown): DynRecords {
  const found = new Map<string, DnsRecordSet & { values: string[] }>();
  const take = (type: DnsRecordSet['type'], record: { fqdn: string; ttl: number }, value: string): void => {
    const name = plainName(record.fqdn);
    const set = found.get(labelOf({ name, type }));
    if (!set) found.set(labelOf({ name, type }), { name, type, ttl: record.ttl, values: [value] });
    else if (!set.values.includes(value)) set.values.push(value);
  };
  const records = allRecords.parse(data ?? {});
  for (const record of records.a_records) take('A', record, record.rdata.address);
  for (const record of records.txt_records) take('TXT', record, record.rdata.txtdata);
  return { sets: [...found.values()], aliases: new Set(records.cname_records.map(({ fqdn }) => plainName(fqdn))) };
}

/** One record as the API takes it. */
export function dynRecord(set: WantedSet, value: string): object {
  return { rdata: set.type === 'A' ? { address: value } : { txtdata: value }, ttl: set.ttl };
}

function plainName(fqdn: string): string {
  return fqdn.toLowerCase().replace(/\.$/, '');
}
