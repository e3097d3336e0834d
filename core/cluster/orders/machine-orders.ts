import { randomUUID } from 'node:crypto';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { providerOf } from '../../model/zone.ts';
import { keys } from '../records/cluster-records.ts';
import { newToken } from '../records/new-records.ts';
import type { OrderDeps } from './job-orders.ts';

export interface MachineOrderDeps extends OrderDeps {
  providers: ReadonlyMap<string, MachineProvider>;
  /** Seconds that a drained machine's copies wait for their replacements, unless an order says otherwise; 0: without end. */
  drainDeadline: number;
}

/** What people ask of machines. Each order is one change of the records; the plan does the rest. */
export class MachineOrders {
  readonly #deps: MachineOrderDeps;

  constructor(deps: MachineOrderDeps) {
    this.#deps = deps;
  }

  /** It gets no more copies; what it has runs on. */
  async cordon(id: string, cordoned: boolean, by: string): Promise<void> {
    await this.#order(id, by, (machine) => {
      if (machine.state === 'draining' && !cordoned)
        throw new CerebroError('conflict', `${id} is being drained; cancel that first`);
      if (machine.cordoned === cordoned && machine.cordonedFor === undefined) return null;
      const what = cordoned ? 'gets no more copies' : 'may get copies again';
      return {
        change: { cordoned, cordonedFor: undefined },
        kind: cordoned ? 'machine-cordoned' : 'machine-uncordoned',
        message: `${id} ${what}`,
      };
    });
  }

  /** Its copies move away, each when its replacement is ready (or the time is up), then it is ended. */
  async drain(id: string, by: string, deadlineSeconds?: number): Promise<void> {
    await this.#order(id, by, (machine, now) => {
      if (machine.state !== 'ready' && machine.state !== 'deploying')
        throw new CerebroError('conflict', `${id} is ${machine.state}; only a ready machine can be drained`);
      const seconds = deadlineSeconds ?? this.#deps.drainDeadline;
      return {
        change: {
          state: 'draining',
          cordoned: true,
          // Whoever drains it has said what is to become of what nobody owns there.
          found: [],
          stateSince: now,
          drainUntil: seconds > 0 ? now + seconds * 1000 : null,
          unheard: machine.state === 'deploying' ? true : undefined,
          reason: `drained by ${by}`,
        },
        kind: 'machine-draining',
        message: `${id} is drained${seconds > 0 ? `, for ${seconds} s at most` : ''}`,
      };
    });
  }

  /** What has not moved away yet stays. */
  async cancelDrain(id: string, by: string): Promise<void> {
    await this.#order(id, by, (machine, now) => {
      if (machine.state !== 'draining') throw new CerebroError('conflict', `${id} is ${machine.state}, not draining`);
      // Ready is only what was heard: the other is deployed on, and is ready as soon as its sitter answers.
      const state = machine.unheard ? 'deploying' : 'ready';
      return {
        change: {
          state,
          unheard: undefined,
          cordoned: false,
          cordonedFor: undefined,
          drainUntil: null,
          stateSince: now,
          reason: `drain cancelled by ${by}`,
        },
        kind: `machine-${state}`,
        message: `${id} is not drained any more`,
      };
    });
  }

  /** Orders one like it; when that is ready, this one is drained. */
  async replace(id: string, by: string): Promise<string> {
    const { records, clock, onOrder } = this.#deps;
    let fresh = '';
    await records.transact(() => {
      const machine = this.record(id);
      const isDraining = machine.state === 'draining';
      if (machine.state !== 'ready' && !isDraining)
        throw new CerebroError(
          'conflict',
          `${id} is ${machine.state}; only a ready or draining machine can be replaced`,
        );
      const already = [...records.machines.values()].find((other) => other.replaces === id && other.state !== 'lost');
      if (already) throw new CerebroError('conflict', `${id} is being replaced by ${already.id} already`);
      let serial = records.serials.get(machine.zone) ?? 1;
      // An instance of that name is there already, which this store has never ordered.
      while (records.strangers.has(`${machine.zone}-${serial}`)) serial += 1;
      fresh = `${machine.zone}-${serial}`;
      const now = clock.now();
      const reason = `replaces ${id}, as ${by} wants it`;
      const value: MachineRecord = {
        ...machine,
        id: fresh,
        state: 'requested',
        intent: randomUUID(),
        token: newToken(),
        ref: null,
        address: null,
        endpoint: null,
        replaces: id,
        found: [],
        cordoned: false,
        cordonedFor: undefined,
        drainUntil: null,
        reason,
        createdAt: now,
        stateSince: now,
        attempts: 0,
        nextAttemptAt: 0,
        lastError: null,
      };
      const events: NewEvent[] = [
        {
          level: 'info',
          kind: 'machine-requested',
          message: `${fresh} (${value.type}) is ordered: ${reason}`,
          machine: fresh,
          by,
        },
        { level: 'info', kind: 'machine-cordoned', message: `${id} is being replaced by ${fresh}`, machine: id, by },
      ];
      return {
        write: [
          { put: keys.machine(fresh), value },
          { put: keys.serial(machine.zone), value: serial + 1 },
          // What is being drained takes no copies as it is, and goes when they have left.
          { put: keys.machine(id), value: isDraining ? machine : cordonedFor(machine, fresh) },
        ],
        events,
      };
    });
    onOrder();
    return fresh;
  }

  /** Something that only the machine's provider can do. */
  async providerAction(id: string, action: string, by: string): Promise<string> {
    const record = this.record(id);
    const provider = this.#deps.providers.get(providerOf(record.zone));
    const known = provider?.actions ?? {};
    const found = known[action];
    if (!found) {
      throw new CerebroError(
        'not_found',
        `the provider "${providerOf(record.zone)}" has no action "${action}"${didYouMean(action, Object.keys(known))}`,
      );
    }
    const message = `${action} on ${id}: ${found.description}`;
    await this.#deps.records.transact(() => ({
      write: [],
      events: [{ level: 'warn', kind: 'provider-action', message, machine: id, by }],
    }));
    return found.run(id);
  }

  /** How many idle machines a zone, or (null) each zone, keeps; -1 ends none. */
  async setIdleLimit(limit: number, zone: string | null, by: string): Promise<void> {
    const { records, onOrder } = this.#deps;
    await records.transact(() => {
      const maxIdlePerZone = { ...records.runtime.maxIdlePerZone, [zone ?? '*']: limit };
      const what = limit < 0 ? 'no idle machine is ended' : `at most ${limit} idle machines are kept`;
      return {
        write: [{ put: keys.runtime, value: { ...records.runtime, maxIdlePerZone } }],
        events: [{ level: 'info', kind: 'idle-limit', message: `${what} in ${zone ?? 'each zone'}`, by }],
      };
    });
    onOrder();
  }

  record(id: string): MachineRecord {
    const { machines } = this.#deps.records;
    const record = machines.get(id);
    if (record) return record;
    throw new CerebroError('not_found', `there is no machine "${id}"${didYouMean(id, machines.keys())}`);
  }

  async #order(
    id: string,
    by: string,
    decide: (
      machine: MachineRecord,
      now: number,
    ) => { change: Partial<MachineRecord>; kind: string; message: string } | null,
  ): Promise<void> {
    const { records, clock, onOrder } = this.#deps;
    this.record(id);
    await records.transact(() => {
      const machine = this.record(id);
      const order = decide(machine, clock.now());
      if (!order) return null;
      const { change, kind, message } = order;
      return {
        write: [{ put: keys.machine(id), value: { ...machine, ...change } satisfies MachineRecord }],
        events: [{ level: 'info', kind, message, machine: id, by }],
      };
    });
    onOrder();
  }
}

/** A cordon of a person's own stays, whatever becomes of the replacement. */
function cordonedFor(machine: MachineRecord, successor: string): MachineRecord {
  const byPerson = machine.cordoned && machine.cordonedFor === undefined;
  return { ...machine, cordoned: true, cordonedFor: byPerson ? undefined : successor };
}
