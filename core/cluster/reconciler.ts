import type { Clock } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import { dueEffects } from '../decide/plan/due-effects.ts';
import { messageOf } from '../errors.ts';
import type { ClusterSnapshot, Complaint, Plan } from '../model/plan.ts';
import type { Executor } from './executor.ts';
import { applyPlan } from './records/apply-plan.ts';
import { type ClusterRecords, keys } from './records/cluster-records.ts';
import { PassLoop } from './work/pass-loop.ts';
import type { WorkCounter } from './work/work-counter.ts';

/** News that come close together are planned together. */
const GATHER_MS = 10;
/** Plans are made at least this often, should any wake-up have been missed. */
const IDLE_MS = 30_000;
const RETRY_MS = 1000;
/** Plans in a row without news, before it is suspected that they do not come to rest. */
const RESTLESS = 50;

export interface ReconcilerDeps {
  records: ClusterRecords;
  executor: Executor;
  work: WorkCounter;
  clock: Clock;
  logger: Logger;
  snapshot(now: number): ClusterSnapshot;
  plan(snapshot: ClusterSnapshot): Plan;
}

/** The loop: snapshot -> plan -> records -> effects. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #loop: PassLoop;
  #complaints: readonly Complaint[] = [];
  #trouble: string | null = null;
  #inARow = 0;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#loop = new PassLoop({
      clock: deps.clock,
      gatherMs: GATHER_MS,
      retryMs: RETRY_MS,
      pass: () => this.#pass(),
      onFailure: (error) => {
        // The records are as they were. A store that is full or away is asked again; tasks run on meanwhile.
        const trouble = messageOf(error);
        const isNew = trouble !== this.#trouble;
        this.#trouble = trouble;
        deps.work.pass('failed');
        // It is tried every second, and the disk that is full may be that of the log.
        if (isNew) deps.logger.error({ err: error }, 'a plan could not be carried out; it is made again');
      },
    });
  }

  start(): void {
    this.#deps.records.onTrouble = () => this.#loop.poke();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    const { records } = this.#deps;
    records.onTrouble = null;
    await this.#loop.stop();
    // Who does not write has no trouble with writing; what was the last leader's is not for ever.
    this.#trouble = null;
    records.trouble = null;
  }

  /** What the last plan could not do, for the page; first of all, that it could not be carried out at all. */
  get complaints(): readonly Complaint[] {
    const trouble = this.#trouble ?? this.#deps.records.trouble;
    if (trouble === null) return this.#complaints;
    return [{ about: {}, sentence: `nothing can be changed now, what runs runs on: ${trouble}` }, ...this.#complaints];
  }

  /** There may be something to do. */
  poke(): void {
    this.#inARow = 0;
    this.#loop.poke();
  }

  async #pass(): Promise<number> {
    const { clock, records, executor, logger } = this.#deps;
    let plan: Plan = { actions: [], complaints: [], wakeAt: null };
    await records.transact(() => {
      const now = clock.now();
      plan = this.#deps.plan(this.#deps.snapshot(now));
      if (plan.actions.length > 0) return applyPlan(plan, records, now);
      // A change that changes nothing: else nobody would learn that the store takes them again before somebody wants one.
      return records.trouble === null ? null : { write: [{ put: keys.runtime, value: records.runtime }], events: [] };
    });
    this.#trouble = null;
    this.#deps.work.pass('done');
    await this.#complain(plan.complaints);
    const after = dueEffects(this.#deps.snapshot(clock.now()));
    executor.start(after.effects);
    // A plan is followed by another until one comes out empty: what it changed may make more possible.
    if (plan.actions.length > 0) {
      if (++this.#inARow <= RESTLESS) return GATHER_MS;
      logger.error({ actions: plan.actions.slice(0, 5) }, 'the plan does not come to rest; slowing down');
      return RETRY_MS;
    }
    const wakeAt = Math.min(plan.wakeAt ?? Number.POSITIVE_INFINITY, after.wakeAt ?? Number.POSITIVE_INFINITY);
    return Math.min(IDLE_MS, Math.max(GATHER_MS, wakeAt - clock.now()));
  }

  /** Tells each complaint once, when it first appears. */
  async #complain(complaints: readonly Complaint[]): Promise<void> {
    const before = new Set(this.#complaints.map((complaint) => complaint.sentence));
    const fresh = complaints.filter((complaint) => !before.has(complaint.sentence));
    this.#complaints = complaints;
    if (fresh.length === 0) return;
    await this.#deps.records.transact(() => ({
      write: [],
      events: fresh.map(({ about, sentence }) => ({
        level: 'warn',
        kind: 'cannot',
        message: sentence,
        ...(about.job !== undefined && { job: about.job }),
        ...(about.machine !== undefined && { machine: about.machine }),
      })),
    }));
  }
}
