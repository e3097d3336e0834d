import type { Operation } from '../../contracts/state-store.ts';
import type { DnsRecordChange } from '../../decide/dns/dns-plan.ts';

export function operationFor({ key, record }: DnsRecordChange): Operation {
  return record === null ? { delete: `dns/${key}` } : { put: `dns/${key}`, value: record };
}
