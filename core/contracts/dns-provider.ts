/** All values of one type at one name. Names are in lower case and without the final dot; A values are dotted quads. */
export interface DnsRecordSet {
  name: string;
  type: 'A' | 'TXT';
  /** Seconds. */
  ttl: number;
  /** In no particular order, each once. Never empty: a set without values is removed. */
  values: readonly string[];
}

/**
 * One change of a zone. `was` is what the caller believes to be there now (null: nothing of that name and type): where it is
 * something else, somebody else writes there too, and nothing may be changed.
 */
export type DnsChange =
  | { kind: 'put'; set: DnsRecordSet; was: readonly string[] | null }
  | { kind: 'remove'; name: string; type: DnsRecordSet['type']; was: readonly string[] };

/**
 * Keeps record sets in zones. Every implementation passes `test/suites/dns-provider-suite.ts`.
 *
 * - `apply` is one batch in one zone: all of it or, where the protocol can, nothing of it. It is idempotent: a put of what is
 *   there already and a remove of what is gone are fine, whatever `was` says, so a batch whose answer was lost is sent again.
 * - It throws `conflict` naming the records that are not as `was` says, `forbidden` where the server refuses us, `invalid` for
 *   what it will never take, `unavailable` for what may work later. Resolved means that the server answers with it (or will,
 *   without anything more from us).
 */
export interface DnsProvider {
  readonly name: string;
  /** The most values that one name can hold; null: no limit that matters. */
  readonly maxValues: number | null;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The zone that holds `name`, found by asking (so `foo.co.uk` works), or null when it is not ours to write. */
  zoneOf(name: string): Promise<string | null>;
  /** The sets of A and TXT records at `name` and below it, in the zone that holds it. */
  list(name: string): Promise<DnsRecordSet[]>;
  apply(zone: string, changes: readonly DnsChange[]): Promise<void>;
}
