import type { DnsChange, DnsRecordSet } from '../../contracts/dns-provider.ts';
import { type DnsRecord, isSettled, sameValues } from '../../model/dns.ts';
import { markerName, markerText } from './dns-names.ts';

/** So long is a name looked after when it is gone: longer than any service takes to do what it seemed not to have done. */
const WATCH_MS = 600_000;

/** What was found at a name: its A set, and the text that says whose it is. */
export interface Found {
  values: readonly string[] | null;
  ttl: number | null;
  marker: 'ours' | 'theirs' | null;
}

/** Sorts what a provider listed by the names that it is about. */
export function findings(sets: readonly DnsRecordSet[], clusterId: string): (name: string) => Found {
  const byKey = new Map(sets.map((set) => [`${set.name}/${set.type}`, set]));
  const ours = markerText(clusterId);
  return (name) => {
    const set = byKey.get(`${name}/A`);
    const texts = byKey.get(`${markerName(name)}/TXT`)?.values ?? [];
    const marker = texts.includes(ours) ? 'ours' : texts.length > 0 ? 'theirs' : null;
    return { values: set?.values ?? null, ttl: set?.ttl ?? null, marker };
  };
}

export type FoldNews = 'foreign' | 'cleared' | 'drift' | null;

/** A record after somebody looked at the server: what is there counts, and whose it is decides whether we may change it. */
export function foldFound(record: DnsRecord, found: Found, now: number): { record: DnsRecord; news: FoldNews } {
  const seen = {
    published: found.values && [...found.values],
    publishedTtl: found.ttl,
    marked: found.marker === 'ours',
    // What was sent without an answer may be done after this look; and what stood there and does not may stand there all the same,
    // for a service may show a list from before it did.
    watchUntil:
      record.attempted !== null || (record.published !== null && found.values === null)
        ? now + WATCH_MS
        : record.watchUntil,
  };
  const nobodys = found.values === null && found.marker !== 'theirs';
  if (nobodys || isOurs(record, found)) {
    const asKnown =
      sameValues(record.published, found.values) && (found.ttl ?? record.publishedTtl) === record.publishedTtl;
    const news = record.foreign !== null ? 'cleared' : record.attempted === null && !asKnown ? 'drift' : null;
    // Gone by an answer that was lost, or by somebody's hand: it may be remembered all the same.
    const left = stillRemembered(record, found.values ?? [], now);
    return { record: { ...record, ...seen, left, attempted: null, foreign: null }, news };
  }
  const theirs = found.values === null ? [] : [...found.values];
  const known = record.foreign !== null && sameValues(record.foreign, theirs);
  return {
    record: {
      ...record,
      // The copy is free to get another number; this one stays taken.
      copy: record.kind === 'copy' ? null : record.copy,
      values: record.kind === 'copy' ? [] : record.values,
      foreign: theirs,
      published: null,
      publishedTtl: null,
      attempted: null,
      marked: false,
      lastError: null,
    },
    news: known ? null : 'foreign',
  };
}

/** Our mark is beside it; or, where there is none, it is what we put there, or sent without an answer. */
function isOurs(record: DnsRecord, found: Found): boolean {
  if (found.marker === 'ours') return true;
  if (found.marker === 'theirs' || found.values === null) return false;
  if (record.published !== null && sameValues(record.published, found.values)) return true;
  return record.attempted !== null && record.attempted.length > 0 && sameValues(record.attempted, found.values);
}

/** A record after the server took what was sent. */
export function foldSent(
  record: DnsRecord,
  sent: Pick<DnsRecord, 'values' | 'ttl'>,
  marked: boolean,
  now: number,
): DnsRecord {
  const left = stillRemembered(record, sent.values, now);
  const gone = sent.values.length === 0;
  return {
    ...record,
    published: gone ? null : [...sent.values],
    publishedTtl: gone ? null : sent.ttl,
    attempted: null,
    marked: gone ? false : marked,
    watchUntil: gone ? now + WATCH_MS : record.watchUntil,
    left,
    changedAt: now,
    attempts: 0,
    nextAttemptAt: 0,
    lastError: null,
  };
}

/** The addresses that are not there any more, and until when somebody may still have them from a cache. */
function stillRemembered(record: DnsRecord, there: readonly string[], now: number): Record<string, number> {
  const left: Record<string, number> = {};
  for (const [value, until] of Object.entries(record.left))
    if (until > now && !there.includes(value)) left[value] = until;
  const until = now + Math.max(record.publishedTtl ?? 0, record.ttl) * 1000;
  for (const value of record.published ?? []) if (!there.includes(value)) left[value] = until;
  return left;
}

/** Whether there is something to send, now. */
export function isDue(record: DnsRecord, now: number): boolean {
  return record.foreign === null && !isSettled(record) && record.nextAttemptAt <= now;
}

/** The order in which changes go out: new names of copies, then pools, then names that go. */
export function inSendingOrder(records: readonly DnsRecord[]): DnsRecord[] {
  const rank = (record: DnsRecord): number => (record.kind === 'pool' ? 1 : record.values.length > 0 ? 0 : 2);
  return [...records].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** What is sent for one record. The mark is put before what it marks, and goes after it. */
export function changesFor(record: DnsRecord, marker: string | null): DnsChange[] {
  const { name, values, ttl, published, marked } = record;
  const changes: DnsChange[] = [];
  if (values.length > 0) {
    if (marker !== null && !marked)
      changes.push({ kind: 'put', set: { name: markerName(name), type: 'TXT', ttl, values: [marker] }, was: null });
    changes.push({ kind: 'put', set: { name, type: 'A', ttl, values }, was: published });
    return changes;
  }
  if (published !== null) changes.push({ kind: 'remove', name, type: 'A', was: published });
  if (marker !== null && marked) changes.push({ kind: 'remove', name: markerName(name), type: 'TXT', was: [marker] });
  return changes;
}
