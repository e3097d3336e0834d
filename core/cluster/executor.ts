import type { Clock, Timer } from '../contracts/clock.ts';
import type { IdentityIssuer } from '../contracts/identity-issuer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineProvider } from '../contracts/machine-provider.ts';
import type { Effect } from '../decide/due-effects.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { CopyRecord } from '../model/copy.ts';
import type { NewEvent } from '../model/event.ts';
import { type MachineRecord, sizeOf } from '../model/machine.ts';
import { sizeKey } from '../model/plan.ts';
import { providerOf } from '../model/zone.ts';
import { type ClusterRecords, keys } from './cluster-records.ts';
import { endOrphan } from './end-orphan.ts';
import type { Lead } from './leadership.ts';
import type { MachineLink } from './machine-link.ts';
import { Pauses } from './pauses.ts';
import type { RecipeRunner } from './recipe-runner.ts';
import { renewByProvider } from './renew-by-provider.ts';
import { retryDelayMs } from './retry-delay.ts';
import type { Secrets } from './secrets.ts';
import type { WorkCounter } from './work-counter.ts';

/** Effects of one kind under way at a time; the rest wait for the next pass. */
const CONCURRENT = 64;
/** A machine that took a task has so long to report it before it is told again. */
const REPORT_MS = 2000;
/** What costs money or destroys is begun only while the lead is sure for so long. */
const SURE_MS = 5000;
/** A size that a zone has none of is left alone for this long. */
const SOLD_OUT_MS = 300_000;
/** An adopted machine whose sitter does not answer with the certificate that it was given is given another after this. */
const IDENTITY_MS = 30_000;
const FAILED = {
  'create-machine': 'could not be created',
  'destroy-machine': 'could not be ended',
  'give-identity': 'could not be given a certificate of this cluster',
};

export interface ExecutorDeps {
  records: ClusterRecords;
  providers: ReadonlyMap<string, MachineProvider>;
  client: MachineLink;
  recipes: RecipeRunner;
  identities: IdentityIssuer;
  secrets: Pick<Secrets, 'of'>;
  work: WorkCounter;
  lead: Lead;
  clock: Clock;
  logger: Logger;
  /** For tasks of jobs that may not run twice. */
  leashSeconds: number;
  /** An instance that no record knew is no more. */
  onOrphanEnded(machineId: string): void;
  /** An effect ended, well or not: there may be more to do. */
  onDone(): void;
}

/**
 * Does what the records ask for, and writes down what came of it. Two effects of one key never run at once. What fails is tried
 * again with growing pauses, for as long as the records ask for it; the error stands on the record, for people to read.
 */
export class Executor {
  readonly #deps: ExecutorDeps;
  readonly #running = new Map<string, { effect: Effect; abort: AbortController; done: Promise<void> }>();
  /** Failures that no record holds: of tasks without a copy, and of what could not be written down. */
  readonly #pauses: Pauses;
  /** Sizes that could not be had, `ZONE/TYPE`, and until when they are left alone (ms since the epoch). */
  readonly soldOut = new Map<string, number>();
  #stopped = false;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
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
      if (this.#pauses.holds(pauseKey(effect))) continue;
      const abort = new AbortController();
      const done = this.#carryOut(effect, abort.signal).finally(() => {
        this.#running.delete(effect.key);
        if (!this.#stopped) this.#deps.onDone();
      });
      this.#running.set(effect.key, { effect, abort, done });
    }
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
      this.#pauses.add(pauseKey(effect));
      this.#deps.logger.warn(
        { effect: effect.kind, key: effect.key, err: error },
        'an effect failed; it is tried again',
      );
      if (effect.kind === 'create-machine' && error instanceof CerebroError && error.code === 'no_capacity')
        this.soldOut.set(sizeKey(effect.machine.zone, sizeOf(effect.machine)), this.#deps.clock.now() + SOLD_OUT_MS);
      await this.#recordFailure(effect, messageOf(error));
    }
  }

  async #act(effect: Effect, signal: AbortSignal): Promise<void> {
    this.#deps.lead.demand();
    switch (effect.kind) {
      case 'create-machine':
        return await this.#createMachine(effect.machine);
      case 'destroy-machine':
        return await this.#destroyMachine(effect.machine);
      case 'give-identity':
        return await this.#giveIdentity(effect.machine);
      case 'end-orphan':
        return await endOrphan(this.#deps, effect.orphan, () => this.#deps.lead.demand(SURE_MS));
      case 'deploy-copy':
        return await this.#deployCopy(effect.copy, effect.machine, signal);
      case 'remove-task':
        return await this.#removeTask(effect);
    }
  }

  async #createMachine(machine: MachineRecord): Promise<void> {
    const { records, identities, lead } = this.#deps;
    const identity = await identities.issue(machine.id);
    lead.demand(SURE_MS);
    const instance = await this.#provider(machine).create({
      clusterId: records.clusterId,
      machineId: machine.id,
      zone: machine.zone,
      type: { name: machine.type, cpu: machine.cpu, mem: machine.mem, labels: machine.labels },
      intent: machine.intent,
      token: machine.token,
      identity,
    });
    await this.#changeMachine(machine.id, (now) =>
      now.state === 'requested'
        ? {
            ...now,
            state: 'booting',
            stateSince: this.#deps.clock.now(),
            ref: instance.ref,
            address: instance.address,
            endpoint: instance.endpoint,
            attempts: 0,
            lastError: null,
          }
        : null,
    );
  }

  async #destroyMachine(machine: MachineRecord): Promise<void> {
    const { records, lead } = this.#deps;
    lead.demand(SURE_MS);
    await this.#provider(machine).destroy(records.clusterId, machine.id);
    await records.transact(() => {
      const now = records.machines.get(machine.id);
      if (!now || (now.state !== 'terminating' && now.state !== 'lost')) return null;
      const event: NewEvent = {
        level: 'info',
        kind: 'machine-gone',
        message: `${machine.id} is gone: ${now.reason}`,
        machine: machine.id,
      };
      const cursor = records.cursors.has(machine.id) ? [{ delete: keys.cursor(machine.id) }] : [];
      return { write: [{ delete: keys.machine(machine.id) }, ...cursor], events: [event] };
    });
  }

  /** By the way round its sitter, which believes in another authority. Given again for as long as the sitter does not answer. */
  async #giveIdentity(machine: MachineRecord): Promise<void> {
    const identity = await this.#deps.identities.issue(machine.id);
    await renewByProvider(this.#provider(machine), machine, identity);
    const nextAttemptAt = this.#deps.clock.now() + IDENTITY_MS;
    await this.#changeMachine(machine.id, (now) => ({ ...now, attempts: 0, lastError: null, nextAttemptAt }));
  }

  async #deployCopy(copy: CopyRecord, machine: MachineRecord, signal: AbortSignal): Promise<void> {
    const { records, client, recipes } = this.#deps;
    const spec = records.spec(copy.job, copy.version);
    if (!spec) throw new CerebroError('internal', `version ${copy.version} of "${copy.job}" is not in the store`);
    if (copy.recipeVersion !== copy.version) {
      // From here on the machine may stand between two versions: should it go back to the one before, that is deployed again.
      if (copy.recipeVersion !== null && spec.deployment_recipe !== undefined)
        await this.#changeCopy(copy.id, (now) => ({ ...now, recipeVersion: null }));
      await recipes.run({ copy, machine, spec, provider: this.#provider(machine), signal });
      await this.#changeCopy(copy.id, (now) =>
        now.version === copy.version ? { ...now, recipeVersion: copy.version } : null,
      );
    }
    // Read again: while the recipe ran, the copy may have been stopped or given a newer version.
    const now = records.copies.get(copy.id);
    if (now?.wanted !== 'run' || now.version !== copy.version || signal.aborted) return;
    const { generation, version } = now;
    this.#deps.lead.demand();
    const secrets = this.#deps.secrets.of(copy.job, version);
    await client.putTask(machine, {
      ...(secrets !== undefined && { secrets }),
      id: copy.id,
      job: copy.job,
      version,
      generation,
      leash: spec.singleton ? this.#deps.leashSeconds : null,
      configuration: spec.task_configuration,
    });
    await this.#changeCopy(copy.id, (after) =>
      after.version === version
        ? {
            ...after,
            taskVersion: version,
            taskGeneration: generation,
            attempts: 0,
            nextAttemptAt: this.#deps.clock.now() + REPORT_MS,
            lastError: null,
          }
        : null,
    );
  }

  async #removeTask(effect: Extract<Effect, { kind: 'remove-task' }>): Promise<void> {
    const { records, client } = this.#deps;
    await client.removeTask(effect.machine, effect.task);
    const { copy } = effect;
    if (copy === null) return;
    await records.transact(() => {
      const now = records.copies.get(copy.id);
      if (now?.wanted !== 'stop') return null;
      const event: NewEvent = {
        level: 'info',
        kind: 'copy-gone',
        message: `${copy.id} has ended: ${now.reason}`,
        job: now.job,
        machine: now.machine,
        copy: copy.id,
      };
      return { write: [{ delete: keys.copy(copy.id) }], events: [event] };
    });
  }

  async #recordFailure(effect: Effect, sentence: string): Promise<void> {
    const retry = <T extends { attempts: number; nextAttemptAt: number; lastError: string | null }>(record: T): T => ({
      ...record,
      attempts: record.attempts + 1,
      nextAttemptAt: this.#deps.clock.now() + retryDelayMs(record.attempts),
      lastError: sentence,
    });
    try {
      if ('machine' in effect && !('copy' in effect)) {
        await this.#changeMachine(
          effect.machine.id,
          retry,
          `${effect.machine.id}: ${FAILED[effect.kind]}: ${sentence}`,
        );
      } else if ('copy' in effect && effect.copy) {
        const what = effect.kind === 'deploy-copy' ? 'could not be deployed' : 'could not be ended';
        const next = `the next try is in ${retryDelayMs(effect.copy.attempts) / 1000} s`;
        const trouble = `${effect.copy.id} ${what} on ${effect.machine.id}: ${sentence}; ${next}`;
        await this.#changeCopy(effect.copy.id, retry, trouble);
      }
    } catch (error) {
      this.#deps.logger.error({ key: effect.key, err: error }, 'a failure could not be recorded');
    }
  }

  async #changeMachine(
    id: string,
    change: (record: MachineRecord) => MachineRecord | null,
    trouble?: string,
  ): Promise<void> {
    const { records } = this.#deps;
    await records.transact(() => {
      const before = records.machines.get(id);
      const after = before && change(before);
      if (!before || !after) return null;
      const events: NewEvent[] = [];
      if (trouble !== undefined && before.lastError !== after.lastError)
        events.push({ level: 'warn', kind: 'machine-trouble', message: trouble, machine: id });
      if (before.state !== after.state)
        events.push({
          level: 'info',
          kind: `machine-${after.state}`,
          message: `${id} is ${after.state} as ${after.ref}`,
          machine: id,
        });
      return { write: [{ put: keys.machine(id), value: after }], events };
    });
  }

  async #changeCopy(id: string, change: (record: CopyRecord) => CopyRecord | null, trouble?: string): Promise<void> {
    const { records } = this.#deps;
    await records.transact(() => {
      const before = records.copies.get(id);
      const after = before && change(before);
      if (!before || !after) return null;
      const events: NewEvent[] = [];
      if (trouble !== undefined && before.lastError !== after.lastError) {
        events.push({
          level: 'warn',
          kind: 'copy-trouble',
          message: trouble,
          job: before.job,
          machine: before.machine,
          copy: id,
        });
      }
      return { write: [{ put: keys.copy(id), value: after }], events };
    });
  }

  #provider(machine: MachineRecord): MachineProvider {
    const provider = this.#deps.providers.get(providerOf(machine.zone));
    if (!provider)
      throw new CerebroError(
        'unavailable',
        `the provider "${providerOf(machine.zone)}" of ${machine.id} is not loaded`,
      );
    return provider;
  }
}

/** A failed create does not hold up the destroy of the same machine, nor a failed deploy the removal of the copy. */
function pauseKey(effect: Effect): string {
  return `${effect.kind}:${effect.key}`;
}
