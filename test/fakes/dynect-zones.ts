/** A record as the API shows it. */
export interface DynRecord {
  zone: string;
  fqdn: string;
  record_type: string;
  rdata: Record<string, unknown>;
  ttl: number;
  /** 0 until it is published. */
  record_id: number;
}

type Pending = { add: DynRecord } | { delete: number };

/** What goes wrong, as the API says it. */
export class DynFault extends Error {
  readonly code: string;
  readonly httpStatus: number;

  constructor(code: string, info: string, httpStatus = 400) {
    super(info);
    this.code = code;
    this.httpStatus = httpStatus;
  }
}

const MAX_A_PER_NODE = 13;

/** One zone of the stand-in: what is served, and what each session has not published yet. */
export class DynZone {
  readonly name: string;
  serial = 1;
  /** What runs after a publication; changes are refused until it was looked at so often. */
  task: { id: number; looksLeft: number } | null = null;
  readonly #served = new Map<number, DynRecord>();
  readonly #pending = new Map<string, Pending[]>();
  #lastId = 100;

  constructor(name: string) {
    this.name = name;
  }

  /** What anybody is answered. */
  get served(): DynRecord[] {
    return [...this.#served.values()];
  }

  /** What a session sees: its own changes, too. */
  seenBy(token: string): DynRecord[] {
    const pending = this.#pending.get(token) ?? [];
    const deleted = new Set(pending.flatMap((change) => ('delete' in change ? [change.delete] : [])));
    const added = pending.flatMap((change) => ('add' in change ? [change.add] : []));
    return [...this.served.filter((record) => !deleted.has(record.record_id)), ...added];
  }

  add(token: string, record: Omit<DynRecord, 'record_id' | 'zone'>): DynRecord {
    const beside = this.seenBy(token).filter((other) => other.fqdn === record.fqdn);
    if (beside.some((other) => (other.record_type === 'CNAME') !== (record.record_type === 'CNAME')))
      throw new DynFault('INVALID_DATA', 'name: CNAME cannot be beside other records');
    const same = beside.filter((other) => other.record_type === record.record_type);
    if (same.some((other) => JSON.stringify(other.rdata) === JSON.stringify(record.rdata)))
      throw new DynFault('TARGET_EXISTS', 'make: Record already exists');
    if (record.record_type === 'A' && same.length >= MAX_A_PER_NODE)
      throw new DynFault('INVALID_DATA', 'make: too many A records at this node');
    const made = { ...record, zone: this.name, record_id: 0 };
    this.#change(token).push({ add: made });
    return made;
  }

  /** Of what a session sees at a node, one type. */
  deleteSet(token: string, fqdn: string, type: string): number {
    const gone = this.seenBy(token).filter((record) => record.fqdn === fqdn && record.record_type === type);
    const changes = this.#change(token);
    for (const record of gone) {
      if (record.record_id !== 0) changes.push({ delete: record.record_id });
      else
        changes.splice(
          changes.findIndex((change) => 'add' in change && change.add === record),
          1,
        );
    }
    return gone.length;
  }

  pendingOf(token: string): number {
    return this.#pending.get(token)?.length ?? 0;
  }

  discard(token: string): number {
    const count = this.pendingOf(token);
    this.#pending.delete(token);
    return count;
  }

  publish(token: string, taskId: number, looks: number): void {
    for (const change of this.#pending.get(token) ?? []) {
      if ('delete' in change) this.#served.delete(change.delete);
      else this.#serve(change.add);
    }
    this.#pending.delete(token);
    this.serial += 1;
    this.task = { id: taskId, looksLeft: looks };
  }

  /** As somebody else did it, in a session of their own. */
  foreign(fqdn: string, type: string, rdatas: readonly Record<string, unknown>[], ttl = 300): void {
    for (const record of this.served)
      if (record.fqdn === fqdn && record.record_type === type) this.#served.delete(record.record_id);
    for (const rdata of rdatas) this.#serve({ zone: this.name, fqdn, record_type: type, rdata, ttl, record_id: 0 });
  }

  #serve(record: DynRecord): void {
    this.#lastId += 1;
    this.#served.set(this.#lastId, { ...record, record_id: this.#lastId });
  }

  #change(token: string): Pending[] {
    const pending = this.#pending.get(token) ?? [];
    this.#pending.set(token, pending);
    return pending;
  }
}
