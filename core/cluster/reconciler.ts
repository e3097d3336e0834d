import type { Clock, Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import { dueEffects } from '../decide/due-effects.ts';
import { messageOf } from '../errors.ts';
import type { ClusterSnapshot, Complaint, Plan } from '../model/plan.ts';
import { applyPlan } from './apply-plan.ts';
import type { ClusterRecords } from './cluster-records.ts';
import type { Executor } from './executor.ts';
import type { WorkCounter } from './work-counter.ts';

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

/**
 * The loop: snapshot -> plan -> records -> effects. Level-triggered: it never asks what happened, only what is.
 * One pass at a time; what comes in during a pass makes another one.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  #timer: Timer | null = null;
  /** When the timer is due (monotonic ms). */
  #dueAt = 0;
  #pass: Promise<void> | null = null;
  #dirty = false;
  #stopped = true;
  #complaints: readonly Complaint[] = [];
  #trouble: string | null = null;
  #inARow = 0;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
    this.poke();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#pass;
  }

  /** What the last plan could not do, for the page; first of all, that it could not be carried out at all. */
  get complaints(): readonly Complaint[] {
    if (this.#trouble === null) return this.#complaints;
    return [
      { about: {}, sentence: `nothing can be changed now, what runs runs on: ${this.#trouble}` },
      ...this.#complaints,
    ];
  }

  /** There may be something to do. */
  poke(): void {
    if (this.#stopped) return;
    this.#dirty = true;
    this.#inARow = 0;
    // Not anew with each piece of news: where they never cease there would be no pass.
    if (!this.#pass && (this.#timer === null || this.#dueAt > this.#deps.clock.monotonic() + GATHER_MS))
      this.#arm(GATHER_MS);
  }

  #arm(ms: number): void {
    this.#timer?.cancel();
    this.#dueAt = this.#deps.clock.monotonic() + ms;
    this.#timer = this.#deps.clock.timer(ms, () => {
      this.#timer = null;
      this.#pass = this.#run().finally(() => {
        this.#pass = null;
        if (!this.#stopped && this.#timer === null) this.#arm(GATHER_MS);
      });
    });
  }

  async #run(): Promise<void> {
    const { clock, records, executor, logger } = this.#deps;
    this.#dirty = false;
    try {
      let plan: Plan = { actions: [], complaints: [], wakeAt: null };
      await records.transact(() => {
        const now = clock.now();
        plan = this.#deps.plan(this.#deps.snapshot(now));
        return plan.actions.length === 0 ? null : applyPlan(plan, records, now);
      });
      this.#trouble = null;
      this.#deps.work.pass('done');
      await this.#complain(plan.complaints);
      const after = dueEffects(this.#deps.snapshot(clock.now()));
      executor.start(after.effects);
      if (this.#stopped) return;
      // A plan is followed by another until one comes out empty: what it changed may make more possible.
      if (plan.actions.length > 0 && ++this.#inARow > RESTLESS) {
        logger.error({ actions: plan.actions.slice(0, 5) }, 'the plan does not come to rest; slowing down');
        this.#arm(RETRY_MS);
      } else if (this.#dirty || plan.actions.length > 0) {
        this.#arm(GATHER_MS);
      } else {
        const wakeAt = Math.min(plan.wakeAt ?? Number.POSITIVE_INFINITY, after.wakeAt ?? Number.POSITIVE_INFINITY);
        this.#arm(Math.min(IDLE_MS, Math.max(GATHER_MS, wakeAt - clock.now())));
      }
    } catch (error) {
      // The records are as they were. A store that is full or away is asked again; tasks run on meanwhile.
      this.#trouble = messageOf(error);
      this.#deps.work.pass('failed');
      logger.error({ err: error }, 'a plan could not be carried out; it is made again');
      if (!this.#stopped) this.#arm(RETRY_MS);
    }
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
