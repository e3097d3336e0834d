import { z } from 'zod';

/** Where a name stands: the plugin that keeps it, and the DNS zone that holds it. */
export const dnsPlace = z.object({ provider: z.string(), zone: z.string() });
export type DnsPlace = z.infer<typeof dnsPlace>;

/**
 * One A record set that is ours, or is to be; kept under `dns/NAME/A`. It is written before anything is sent (`attempted`) and
 * after it was confirmed (`published`), so that after a crash it is known what may stand there.
 *
 *   pool  REGION.BASENAME         the addresses of the ready copies
 *   copy  NUMBER.REGION.BASENAME  the address of one copy's machine
 */
export const dnsRecord = z.object({
  name: z.string(),
  kind: z.enum(['pool', 'copy']),
  job: z.string(),
  basename: z.string(),
  region: z.string(),
  /** Of a `copy` name; null also where somebody else's record keeps a number from being used. */
  copy: z.string().nullable(),
  number: z.number().int().nullable(),
  place: dnsPlace,
  /** What it is to hold; empty: it is to go. */
  values: z.array(z.string()),
  /** Seconds. */
  ttl: z.number(),
  /** What the server was last known to hold; null: nothing. */
  published: z.array(z.string()).nullable(),
  publishedTtl: z.number().nullable(),
  /** What was sent and not yet answered (empty: its removal); null: nothing is under way or unclear. */
  attempted: z.array(z.string()).nullable(),
  /** The TXT record that says whose it is stands beside it. */
  marked: z.boolean(),
  /** Addresses that were taken out, and until when (ms since the epoch) somebody may still remember them. */
  left: z.record(z.string(), z.number()),
  /** Until when (ms since the epoch) it is kept and looked at after it went: a change that seemed lost may still come through. */
  watchUntil: z.number().default(0),
  /** What somebody else keeps at this name; it is left alone. */
  foreign: z.array(z.string()).nullable(),
  reason: z.string(),
  /** When it last changed on the server (ms since the epoch). */
  changedAt: z.number().nullable(),
  attempts: z.number().int(),
  nextAttemptAt: z.number(),
  lastError: z.string().nullable(),
});
export type DnsRecord = z.infer<typeof dnsRecord>;

/** `published`: as it should be. `leaving`: gone from the server, and remembered by others until its TTL has passed. */
export const dnsState = z.enum(['published', 'pending', 'failing', 'removing', 'leaving', 'foreign']);
export type DnsState = z.infer<typeof dnsState>;

export function dnsStateOf(record: DnsRecord): DnsState {
  if (record.foreign !== null) return 'foreign';
  if (isSettled(record)) return record.values.length === 0 ? 'leaving' : 'published';
  if (record.lastError !== null) return 'failing';
  return record.values.length === 0 ? 'removing' : 'pending';
}

/** The server holds what it should, and nothing is under way. */
export function isSettled(record: DnsRecord): boolean {
  if (record.attempted !== null) return false;
  if (record.values.length === 0) return record.published === null && !record.marked;
  return sameValues(record.values, record.published) && record.ttl === record.publishedTtl;
}

/** Nothing stands there, and nobody remembers anything: the name may be given away. */
export function isFree(record: DnsRecord, now: number): boolean {
  if (record.values.length > 0 || record.foreign !== null || !isSettled(record)) return false;
  return Object.values(record.left).every((until) => until <= now);
}

/** The same values, in whatever order; null and empty are both nothing. */
export function sameValues(a: readonly string[] | null, b: readonly string[] | null): boolean {
  const [one, other] = [a ?? [], b ?? []];
  return one.length === other.length && one.every((value) => other.includes(value));
}

export const dnsNameView = z.object({
  name: z.string(),
  kind: z.enum(['pool', 'copy']),
  job: z.string(),
  copy: z.string().nullable(),
  state: dnsState,
  /** What the server answers with, as far as is known. */
  values: z.array(z.string()),
  /** What it is to answer with. */
  wanted: z.array(z.string()),
  ttl: z.number(),
  provider: z.string(),
  zone: z.string(),
  /** Whose it is: `cerebro`, or what somebody else keeps there. */
  owner: z.string(),
  reason: z.string(),
  changedAt: z.string().nullable(),
  lastError: z.string().nullable(),
});
export type DnsNameView = z.infer<typeof dnsNameView>;

/** A CNAME that only people can make: from a job's `dns_basename` to one of its pools. */
export const dnsAliasView = z.object({
  job: z.string(),
  name: z.string(),
  /** The pools that it may point to; with several of them it can be one, or a name that is steered by other means. */
  targets: z.array(z.string()),
  state: z.enum(['there', 'missing', 'elsewhere', 'unknown']),
  /** One sentence. */
  reason: z.string(),
  checkedAt: z.string().nullable(),
});
export type DnsAliasView = z.infer<typeof dnsAliasView>;

export const dnsView = z.object({
  providers: z.array(z.string()),
  names: z.array(dnsNameView),
  aliases: z.array(dnsAliasView),
  /** What keeps names from being as they should, one sentence each. */
  attention: z.array(z.string()),
  checkedAt: z.string().nullable(),
});
export type DnsView = z.infer<typeof dnsView>;
