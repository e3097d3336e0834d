import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { Operation } from '../../contracts/state-store.ts';
import type { ClusterEvent, NewEvent } from '../../model/event.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';

/** Events of machines are put on the timeline together, at most this late. */
const GATHER_MS = 50;
const RETRY_MS = 2000;
/** Events of one machine that wait for a store that takes nothing; the machine has them all. */
const MAX_QUEUED = 5000;

export interface MachineEventsDeps {
  records: ClusterRecords;
  clock: Clock;
  logger: Logger;
  /** Only who leads writes. */
  leads(): boolean;
}

/** Puts what machines tell onto the timeline: each event once, with the cursor that says how far that machine was read. */
export class MachineEvents {
  readonly #deps: MachineEventsDeps;
  readonly #queued = new Map<string, ClusterEvent[]>();
  #timer: Timer | null = null;
  #stopped = false;

  constructor(deps: MachineEventsDeps) {
    this.#deps = deps;
  }

  add(machineId: string, event: ClusterEvent): void {
    const queue = this.#queued.get(machineId);
    if (queue) queue.push(event);
    else this.#queued.set(machineId, [event]);
    this.#arm(GATHER_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(ms: number): void {
    if (this.#stopped) return;
    this.#timer ??= this.#deps.clock.timer(ms, () => {
      this.#timer = null;
      void this.#write();
    });
  }

  async #write(): Promise<void> {
    const { records, logger, leads } = this.#deps;
    if (!leads()) {
      this.#dropRecorded();
      this.#arm(RETRY_MS);
      return;
    }
    const queued = new Map(this.#queued);
    this.#queued.clear();
    try {
      await records.transact(() => {
        const write: Operation[] = [];
        const told: NewEvent[] = [];
        for (const [id, events] of queued) {
          if (!records.machines.has(id)) continue;
          const read = records.cursors.get(id) ?? 0;
          const fresh = events.filter((event) => event.seq > read);
          const last = fresh.at(-1);
          if (!last) continue;
          for (const { seq: _seq, at: _at, ...event } of fresh) told.push({ ...event, machine: id });
          write.push({ put: keys.cursor(id), value: last.seq });
        }
        return { write, events: told };
      });
    } catch (error) {
      // Kept in their order, for the next try: a later event must not move the cursor past them.
      for (const [id, events] of queued)
        this.#queued.set(id, [...events, ...(this.#queued.get(id) ?? [])].slice(-MAX_QUEUED));
      this.#arm(RETRY_MS);
      logger.warn({ err: error }, 'events of machines could not be recorded');
    }
  }

  /** While another leads, it is the one that writes: what it has written need not wait here. */
  #dropRecorded(): void {
    for (const [id, events] of this.#queued) {
      const read = this.#deps.records.cursors.get(id) ?? 0;
      this.#queued.set(id, events.filter((event) => event.seq > read).slice(-MAX_QUEUED));
    }
  }
}
