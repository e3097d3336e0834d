import { isIPv4 } from 'node:net';
import { CerebroError } from '../errors.ts';
import type { DnsChange, DnsRecordSet } from './dns-provider.ts';

/** What a change asks for, in one shape for puts and removes. */
export interface WantedSet extends DnsRecordSet {
  /** Empty: there is to be nothing of that name and type. */
  values: readonly string[];
  /** null: the caller believes that there is nothing. */
  was: readonly string[] | null;
}

/** RFC 2181, section 8: the highest bit is not a TTL's. */
const MAX_TTL_SECONDS = 2 ** 31 - 1;
/** What every service here takes as one text. */
const MAX_TEXT_BYTES = 4000;
/** Sets that one sentence names. */
const MAX_NAMED = 10;
const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

/**
 * The batch as what is to be there, for a provider's `apply`. Throws `invalid` for what no server could take: a name that is
 * not legal or not in the zone, a value that is none, more than `maxValues` of them, two changes of one set.
 */
export function wantedSets(zone: string, changes: readonly DnsChange[], maxValues: number | null): WantedSet[] {
  const seen = new Set<string>();
  return changes.map((change) => {
    const wanted: WantedSet =
      change.kind === 'put'
        ? { ...change.set, was: change.was }
        : { name: change.name, type: change.type, ttl: 0, values: [], was: change.was };
    const problem = problemOf(wanted, zone, maxValues);
    if (problem !== null) throw new CerebroError('invalid', `${labelOf(wanted)} ${problem}`);
    if (change.kind === 'put' && change.set.values.length === 0)
      throw new CerebroError('invalid', `${labelOf(wanted)} would have no value; a set without values is removed`);
    if (seen.has(labelOf(wanted))) throw new CerebroError('invalid', `${labelOf(wanted)} is twice in one batch`);
    seen.add(labelOf(wanted));
    return wanted;
  });
}

/**
 * What becomes of a change where `there` is what the server has: `done` when it has it already, `due` when it is as the caller
 * believes (or has the right values with another TTL), `foreign` when somebody else writes there too.
 */
export function judgeSet(wanted: WantedSet, there: DnsRecordSet | null): 'done' | 'due' | 'foreign' {
  if (there === null) {
    if (wanted.values.length === 0) return 'done';
    return wanted.was === null ? 'due' : 'foreign';
  }
  if (sameValues(there.values, wanted.values)) return there.ttl === wanted.ttl ? 'done' : 'due';
  return wanted.was !== null && sameValues(there.values, wanted.was) ? 'due' : 'foreign';
}

/** `name/type`, as messages call a set. */
export function labelOf(set: { name: string; type: string }): string {
  return `${set.name}/${set.type}`;
}

/** The error for sets that are not as the caller believes; `why` goes on after their names, of which `details` has all. */
export function foreignSets(sets: readonly { name: string; type: string }[], why: string): CerebroError {
  const named = sets.slice(0, MAX_NAMED).map(labelOf).join(', ');
  const more = sets.length > MAX_NAMED ? ` and ${sets.length - MAX_NAMED} more` : '';
  return new CerebroError('conflict', `${named}${more}: ${why}`, {
    details: sets.map(({ name, type }) => ({ name, type })),
  });
}

export function sameValues(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value) => b.includes(value));
}

/** Whether `name` is `parent` or below it. */
export function isWithin(name: string, parent: string): boolean {
  return name === parent || name.endsWith(`.${parent}`);
}

/** The longest name that all of these are at or below. */
export function commonParent(names: readonly string[]): string {
  const [first, ...others] = names.map((name) => name.split('.').reverse());
  let length = first?.length ?? 0;
  for (const other of others) {
    let same = 0;
    while (same < length && first?.[same] === other[same]) same += 1;
    length = same;
  }
  return (first ?? []).slice(0, length).reverse().join('.');
}

function problemOf(wanted: WantedSet, zone: string, maxValues: number | null): string | null {
  const { name, type, ttl, values } = wanted;
  if (!isWithin(name, zone)) return `is not in the zone ${zone}`;
  if (name.length > 253) return `is longer than the 253 characters that a name may have`;
  const label = name.split('.').find((part) => part.length > 63 || !LABEL.test(part));
  if (label !== undefined)
    return `is no legal name: "${label}" must be 1 to 63 of a-z, 0-9, - and _, and not begin or end with -`;
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_TTL_SECONDS) return `has the TTL ${ttl}; it is whole seconds`;
  if (maxValues !== null && values.length > maxValues)
    return `would have ${values.length} values; one name can hold ${maxValues} here`;
  if (new Set(values).size !== values.length) return 'has a value twice';
  const wrong = values.find((value) => (type === 'A' ? !isIPv4(value) : Buffer.byteLength(value) > MAX_TEXT_BYTES));
  if (wrong === undefined) return null;
  return type === 'A'
    ? `has the value "${wrong}", which is no IPv4 address`
    : `has a text over ${MAX_TEXT_BYTES} bytes`;
}
