import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { labelOf } from '../../core/contracts/dns-batch.ts';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { plainName, quoteText, unquoteText } from './record-text.ts';

/** A set that is there, with the form in which Route 53 wants to have it back when it is deleted. */
export interface HostedSet extends DnsRecordSet {
  raw: ResourceRecordSet;
}

/** A and TXT sets of a hosted zone, and what is in the way of one. */
export class HostedRecords {
  readonly sets = new Map<string, HostedSet>();
  /** `name/type` of sets that are no plain list of values: aliases, weighted, by region. */
  readonly special = new Set<string>();
  /** Names at which a CNAME stands. */
  readonly aliases = new Set<string>();

  add(raw: ResourceRecordSet): void {
    const name = plainName(raw.Name ?? '');
    if (raw.Type === 'CNAME') this.aliases.add(name);
    if (raw.Type !== 'A' && raw.Type !== 'TXT') return;
    const type = raw.Type;
    const label = labelOf({ name, type });
    const values = (raw.ResourceRecords ?? []).map(({ Value = '' }) => (type === 'A' ? Value : unquoteText(Value)));
    if (raw.SetIdentifier !== undefined || raw.AliasTarget !== undefined || values.length === 0)
      this.special.add(label);
    else this.sets.set(label, { name, type, ttl: raw.TTL ?? 0, values, raw });
  }
}

/** A set as Route 53 takes it. */
export function hostedSet({ name, type, ttl, values }: DnsRecordSet): ResourceRecordSet {
  return {
    Name: `${name}.`,
    Type: type,
    TTL: ttl,
    ResourceRecords: values.map((value) => ({ Value: type === 'A' ? value : quoteText(value) })),
  };
}
