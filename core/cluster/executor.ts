import type { Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import type { Effect } from '../decide/plan/due-effects.ts';
import { CerebroError, messageOf } from '../errors.ts';
import { sizeOf } from '../model/machine.ts';
import { sizeKey } from '../model/plan.ts';
import { CopyEffects, type CopyEffectsDeps } from './copies/copy-effects.ts';
import { MachineEffects, type MachineEffectsDeps } from './machines/machine-effects.ts';
import { Pauses } from './orders/pauses.ts';
import { changeCopy, changeMachine } from './records/change-records.ts';
import { retryDelayMs } from './work/retry-delay.ts';
import type { WorkCounter } from './work/work-counter.ts';

/** Effects of one kind under way at a time; the rest wait for the next pass. */
const CONCURRENT = 64;
/** A size that a zone has none of is left alone for this long. */
const SOLD_OUT_MS = 300_000;
const FAILED = {
  'create-machine': 'could not be created',
  'destroy-machine': 'could not be ended',
  'give-identity': 'could not be given a certificate of this cluster',
};

export interface ExecutorDeps extends MachineEffectsDeps, CopyEffectsDeps {
  work: WorkCounter;
  logger: Logger;
  /** An effect ended, well or not: there may be more to do. */
  onDone(): void;
}

/**
 * Does what the records ask for, and writes down what came of it. Two effects of one key never run at once. What fails is tried
 * again with growing pauses, for as long as the records ask for it; the error stands on the record, for people to read.
 */
export class Executor {
  readonly #deps: ExecutorDeps;
  readonly #machines: MachineEffects;
  readonly #copies: CopyEffects;
  readonly #running = new Map<string, { effect: Effect; abort: AbortController; done: Promise<void> }>();
  /** Failures that no record holds: of tasks without a copy, and of what could not be written down. */
  readonly #pauses: Pauses;
  /** Sizes that could not be had, `ZONE/TYPE`, and until when they are left alone (ms since the epoch). */
  readonly soldOut = new Map<string, number>();
  #stopped = false;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
    this.#machines = new MachineEffects(deps);
    this.#copies = new CopyEffects(deps);
    this.#pauses = new Pauses(deps.clock, () => {
      if (!this.#stopped) deps.onDone();
    });
  }

  start(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.#stopped) return;
      const running = this.#running.get(effect.key);
      if (running) {
        // A copy that is no longer wanted need not be deployed to its end first.
        if (effect.kind === 'remove-task' && running.effect.kind === 'deploy-copy') running.abort.abort();
        // Nor one that is to have another version by now: a recipe that hangs must not hold up the way back.
        if (effect.kind === 'deploy-copy' && running.effect.kind === 'deploy-copy') {
          if (effect.copy.version !== running.effect.copy.version) running.abort.abort();
        }
        continue;
      }
      // Of each kind: machines that take minutes to end must not keep others from being ordered.
      if (this.#count(effect.kind) >= CONCURRENT) continue;
      if (this.#pauses.holds(pauseKey(effect)) || this.#waitsForTurn(effect)) continue;
      const abort = new AbortController();
      const done = this.#carryOut(effect, abort.signal).finally(() => {
        this.#running.delete(effect.key);
        if (!this.#stopped) this.#deps.onDone();
      });
      this.#running.set(effect.key, { effect, abort, done });
    }
  }

  /** A machine has one recipe at a time; the next one for it waits without taking one of the places that others need. */
  #waitsForTurn(effect: Effect): boolean {
    const machine = this.#recipeOn(effect);
    if (machine === null) return false;
    for (const { effect: other } of this.#running.values()) if (this.#recipeOn(other) === machine) return true;
    return false;
  }

  #recipeOn(effect: Effect): string | null {
    return effect.kind === 'deploy-copy' && this.#copies.needsRecipe(effect.copy) ? effect.machine.id : null;
  }

  #count(kind: Effect['kind']): number {
    let count = 0;
    for (const { effect } of this.#running.values()) if (effect.kind === kind) count += 1;
    return count;
  }

  /** Waits for what is under way, at most `deadlineMs`; what is left is asked for again by the records at the next start. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#pauses.clear();
    for (const { abort } of this.#running.values()) abort.abort();
    const all = Promise.all([...this.#running.values()].map(({ done }) => done));
    let deadline: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      deadline = this.#deps.clock.timer(deadlineMs, resolve);
    });
    await Promise.race([all, late]);
    deadline?.cancel();
  }

  /** Gives up what is under way and begins nothing, until `resume`. */
  halt(): void {
    this.#stopped = true;
    for (const { abort } of this.#running.values()) abort.abort();
  }

  resume(): void {
    this.#stopped = false;
  }

  async #carryOut(effect: Effect, signal: AbortSignal): Promise<void> {
    try {
      await this.#act(effect, signal);
      this.#pauses.forget(pauseKey(effect));
      this.#deps.work.effect(effect.kind, 'done');
    } catch (error) {
      if (this.#stopped || signal.aborted) return;
      this.#deps.work.effect(effect.kind, 'failed');
      this.#deps.logger.warn(
        { effect: effect.kind, key: effect.key, err: error },
        'an effect failed; it is tried again',
      );
      if (effect.kind === 'create-machine' && error instanceof CerebroError && error.code === 'no_capacity')
        this.soldOut.set(sizeKey(effect.machine.zone, sizeOf(effect.machine)), this.#deps.clock.now() + SOLD_OUT_MS);
      if (!(await this.#recordFailure(effect, messageOf(error)))) this.#pauses.add(pauseKey(effect));
    }
  }

  async #act(effect: Effect, signal: AbortSignal): Promise<void> {
    this.#deps.lead.demand();
    switch (effect.kind) {
      case 'create-machine':
        return await this.#machines.create(effect.machine);
      case 'destroy-machine':
        return await this.#machines.destroy(effect.machine);
      case 'give-identity':
        return await this.#machines.giveIdentity(effect.machine);
      case 'end-orphan':
        return await this.#machines.endOrphan(effect.orphan);
      case 'deploy-copy':
        return await this.#copies.deploy(effect.copy, effect.machine, signal);
      case 'remove-task':
        return await this.#copies.remove(effect);
    }
  }

  /** false: no record holds it. */
  async #recordFailure(effect: Effect, sentence: string): Promise<boolean> {
    const retry = <T extends { attempts: number; nextAttemptAt: number; lastError: string | null }>(record: T): T => ({
      ...record,
      attempts: record.attempts + 1,
      nextAttemptAt: this.#deps.clock.now() + retryDelayMs(record.attempts),
      lastError: sentence,
    });
    try {
      if ('machine' in effect && !('copy' in effect)) {
        await changeMachine(
          this.#deps.records,
          effect.machine.id,
          retry,
          `${effect.machine.id}: ${FAILED[effect.kind]}: ${sentence}`,
        );
        return true;
      }
      if ('copy' in effect && effect.copy) {
        const what = effect.kind === 'deploy-copy' ? 'could not be deployed' : 'could not be ended';
        const next = `the next try is in ${retryDelayMs(effect.copy.attempts) / 1000} s`;
        const trouble = `${effect.copy.id} ${what} on ${effect.machine.id}: ${sentence}; ${next}`;
        await changeCopy(this.#deps.records, effect.copy.id, retry, trouble);
        return true;
      }
    } catch (error) {
      this.#deps.logger.error({ key: effect.key, err: error }, 'a failure could not be recorded');
    }
    return false;
  }
}

/** A failed create does not hold up the destroy of the same machine, nor a failed deploy the removal of the copy. */
function pauseKey(effect: Effect): string {
  return `${effect.kind}:${effect.key}`;
}
