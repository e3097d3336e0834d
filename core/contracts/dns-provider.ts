export interface DnsRecord {
  name: string;
  type: 'A' | 'TXT';
  ttl: number;
  values: string[];
}

/** Keeps record sets in zones. Idempotent: `put` replaces the set of that name and type, `remove` may find nothing. */
export interface DnsProvider {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The zone that holds `name`, or null when it is not ours to write. */
  zoneOf(name: string): Promise<string | null>;
  list(name: string): Promise<DnsRecord[]>;
  put(record: DnsRecord): Promise<void>;
  remove(name: string, type: DnsRecord['type']): Promise<void>;
}
