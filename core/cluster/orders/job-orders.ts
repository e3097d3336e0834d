import type { Clock } from '../../contracts/clock.ts';
import type { RollOutAction } from '../../contracts/cluster-api.ts';
import type { Operation } from '../../contracts/state-store.ts';
import { nextRunId, settledUntil } from '../../decide/plan/job-runs.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { NewEvent } from '../../model/event.ts';
import {
  canonical,
  type JobRecord,
  type JobRun,
  type JobSpec,
  type JobVersion,
  runKey,
  runsByTurns,
} from '../../model/job.ts';
import { keptRuns, newRollOut } from '../records/apply-plan.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';

export interface OrderDeps {
  records: ClusterRecords;
  clock: Clock;
  /** The records have changed: there is something to do. */
  onOrder(): void;
}

/** What people ask of jobs, beside applying job files. Each order is one change of the records; the plan does the rest. */
export class JobOrders {
  readonly #deps: OrderDeps;

  constructor(deps: OrderDeps) {
    this.#deps = deps;
  }

  async remove(name: string, by: string): Promise<void> {
    await this.#order(name, by, (job) =>
      job.state === 'removing'
        ? null
        : { change: { state: 'removing' }, kind: 'job-removing', message: `"${name}" is to be removed` },
    );
  }

  /** Restarts all its copies, as many at a time as an update may. */
  async restart(name: string, by: string): Promise<string[]> {
    await this.#order(name, by, (job) => {
      if (runsByTurns(job))
        throw new CerebroError(
          'conflict',
          `"${name}" runs in turns, each to its end: "cerebro run ${name}" begins one, "cerebro stoprun ${name}" ends the one that goes on`,
        );
      return {
        change: { restarts: job.restarts + 1 },
        kind: 'job-restart',
        message: `"${name}" is to be restarted, ${job.spec.update.max_parallel} at a time`,
      };
    });
    return [...this.#deps.records.copies.values()]
      .filter((copy) => copy.job === name && copy.wanted === 'run')
      .map((copy) => copy.id);
  }

  /** Restarts one copy, at once. */
  async restartCopy(id: string, by: string): Promise<void> {
    const { records, clock, onOrder } = this.#deps;
    await records.transact(() => {
      const copy = records.copies.get(id);
      if (!copy)
        throw new CerebroError('not_found', `there is no copy "${id}"${didYouMean(id, records.copies.keys())}`);
      if (copy.wanted === 'stop') throw new CerebroError('conflict', `${id} is being stopped: ${copy.reason}`);
      const run = records.jobs.get(copy.job)?.runs.find((each) => each.id === copy.run);
      if (copy.run !== null && run?.state !== 'running')
        throw new CerebroError(
          'conflict',
          `${id} belongs to run ${copy.run}, which is over: "cerebro run ${copy.job}" begins another`,
        );
      const value: CopyRecord = {
        ...copy,
        generation: copy.generation + 1,
        outcome: null,
        // Its names are left first, as with any change.
        changedAt: clock.now(),
        attempts: 0,
        nextAttemptAt: 0,
        lastError: null,
      };
      const event: NewEvent = {
        level: 'info',
        kind: 'copy-restart',
        message: `${id} is to be restarted`,
        job: copy.job,
        machine: copy.machine,
        copy: id,
        by,
      };
      return { write: [{ put: keys.copy(id), value }], events: [event] };
    });
    onOrder();
  }

  async stop(name: string, by: string): Promise<void> {
    await this.#order(name, by, (job) =>
      job.stopped
        ? null
        : { change: { stopped: true }, kind: 'job-stopped', message: `"${name}" is stopped until it is started again` },
    );
  }

  async start(name: string, by: string): Promise<void> {
    await this.#order(name, by, (job, now) =>
      job.stopped
        ? {
            // What its schedule asked for meanwhile was not wanted.
            change: { stopped: false, scheduledUntil: now },
            kind: 'job-started',
            message: `"${name}" is started again`,
          }
        : null,
    );
  }

  /** Changes how many copies a zone has; without a zone, of the only one. Nothing restarts. */
  async scale(name: string, zone: string | null, count: number, by: string): Promise<void> {
    await this.#order(name, by, (job, now) => {
      const zones = Object.keys(job.spec.deployment_layout);
      if (job.spec.linked_job !== undefined)
        throw new CerebroError('conflict', `"${name}" follows "${job.spec.linked_job}": scale that one`);
      const [only, ...others] = zones;
      if (zone === null && (only === undefined || others.length > 0))
        throw new CerebroError('ambiguous', `"${name}" runs in ${zones.join(', ')}: say in which zone to scale it`);
      const which = zone ?? only ?? '';
      const entry = job.spec.deployment_layout[which];
      if (!entry)
        throw new CerebroError('not_found', `"${name}" does not run in ${which}; it runs in ${zones.join(', ')}`);
      const spec: JobSpec = {
        ...job.spec,
        deployment_layout: { ...job.spec.deployment_layout, [which]: { ...entry, count } },
      };
      return {
        change: { spec, updatedAt: new Date(now).toISOString() },
        kind: 'job-scaled',
        message: `"${name}" is to have ${count} ${count === 1 ? 'copy' : 'copies'} in ${which}`,
        write: this.#versionWith(job, spec),
      };
    });
  }

  /** Back to a version that is kept: that number, or else the last one before this that was well. */
  async rollBack(name: string, to: number | null, by: string): Promise<number> {
    let version = 0;
    await this.#order(name, by, (job, now) => {
      const target = to ?? this.#versionBefore(job);
      const kept = target === undefined ? undefined : this.#deps.records.versions.get(keys.version(name, target));
      if (!kept) {
        const known = this.versions(name).map((each) => each.version);
        const what = target === undefined ? 'an earlier version that was well' : `version ${target}`;
        throw new CerebroError('not_found', `"${name}" has not kept ${what}; kept are ${known.join(', ')}`);
      }
      version = kept.version;
      if (kept.version === job.version) throw new CerebroError('conflict', `"${name}" has version ${version} already`);
      const present = this.#deps.records.versions.get(keys.version(name, job.version));
      const restarts =
        runKey(kept.spec) !== runKey(job.spec) ||
        canonical(kept.secrets) !== canonical(present?.secrets) ||
        job.rollout !== null;
      return {
        change: {
          version,
          // How many copies there are is a thing of now, not of the version.
          spec: { ...kept.spec, deployment_layout: job.spec.deployment_layout },
          scheduledUntil: settledUntil(job, kept.spec, now),
          updatedAt: new Date(now).toISOString(),
          rollout: restarts ? newRollOut(version, now, job.version) : null,
        },
        kind: 'job-rollback',
        message: `"${name}" goes back from version ${job.version} to ${version}`,
      };
    });
    return version;
  }

  async rollOut(name: string, action: RollOutAction, by: string): Promise<void> {
    await this.#order(name, by, (job, now) => {
      const { rollout } = job;
      if (!rollout)
        throw new CerebroError('conflict', `"${name}" has no roll-out under way: version ${job.version} is everywhere`);
      const words = `the roll-out of version ${rollout.to} of "${name}"`;
      if (action === 'pause') {
        return rollout.paused
          ? null
          : {
              change: { rollout: { ...rollout, paused: true } },
              kind: 'rollout-paused',
              message: `${words} is paused`,
            };
      }
      // Its time begins anew: what it stood still for does not count.
      const going = { ...rollout, paused: false, failed: null, startedAt: now };
      if (action === 'resume') {
        return rollout.paused || rollout.failed !== null
          ? { change: { rollout: going }, kind: 'rollout-resumed', message: `${words} goes on` }
          : null;
      }
      return {
        change: { rollout: { ...going, promoted: true } },
        kind: 'rollout-promoted',
        message: `${words} goes to all the rest at once`,
      };
    });
  }

  /** Begins a run now, of a job whose command is meant to end. */
  async run(name: string, by: string): Promise<JobRun> {
    let run: JobRun | null = null;
    await this.#order(name, by, (job, now) => {
      if (!job.spec.task_configuration.allow_exit)
        throw new CerebroError(
          'conflict',
          `"${name}" is to run all the time; only a job with allow_exit can be run once`,
        );
      if (job.spec.linked_job !== undefined)
        throw new CerebroError('conflict', `"${name}" follows "${job.spec.linked_job}" and has no runs of its own`);
      if (job.stopped) throw new CerebroError('conflict', `"${name}" is stopped; start it first`);
      const going = job.runs.find((each) => each.state === 'running');
      if (going && job.spec.schedule?.overlap !== 'allow')
        throw new CerebroError('conflict', `run ${going.id} of "${name}" still runs; wait for it, or stop it first`);
      run = {
        id: nextRunId(job),
        due: null,
        by,
        version: job.version,
        state: 'running',
        startedAt: now,
        endedAt: null,
        sentence: `asked for by ${by}`,
      };
      return {
        change: { runs: keptRuns([...job.runs, run]) },
        kind: 'run-begun',
        message: `run ${run.id} of "${name}" begins`,
      };
    });
    if (!run) throw new CerebroError('internal', `no run of "${name}" was begun`);
    return run;
  }

  /** Stops the run that goes on (or the one of that number). */
  async stopRun(name: string, id: number | null, by: string): Promise<number> {
    let stopped = 0;
    await this.#order(name, by, (job, now) => {
      const going = job.runs.filter((run) => run.state === 'running' && (id === null || run.id === id));
      const [first] = going;
      if (!first)
        throw new CerebroError('conflict', `"${name}" has no ${id === null ? 'run' : `run ${id}`} that goes on`);
      stopped = first.id;
      const runs = job.runs.map((run) =>
        going.includes(run) ? { ...run, state: 'stopped' as const, endedAt: now, sentence: `stopped by ${by}` } : run,
      );
      return { change: { runs }, kind: 'run-stopped', message: `run ${stopped} of "${name}" is stopped` };
    });
    return stopped;
  }

  /** The versions that are kept, the newest first. */
  versions(name: string): JobVersion[] {
    this.record(name);
    return [...this.#deps.records.versions.values()]
      .filter((version) => version.job === name)
      .sort((a, b) => b.version - a.version);
  }

  record(name: string): JobRecord {
    const { jobs } = this.#deps.records;
    const record = jobs.get(name);
    if (record) return record;
    throw new CerebroError('not_found', `there is no job "${name}"${didYouMean(name, jobs.keys())}`);
  }

  #versionBefore(job: JobRecord): number | undefined {
    if (job.goodVersion !== null && job.goodVersion !== job.version) return job.goodVersion;
    return this.versions(job.name).find((version) => version.version < job.version && version.outcome !== 'failed')
      ?.version;
  }

  #versionWith(job: JobRecord, spec: JobSpec): Operation[] {
    const key = keys.version(job.name, job.version);
    const known = this.#deps.records.versions.get(key);
    return known ? [{ put: key, value: { ...known, spec } satisfies JobVersion }] : [];
  }

  async #order(
    name: string,
    by: string,
    decide: (
      job: JobRecord,
      now: number,
    ) => { change: Partial<JobRecord>; kind: string; message: string; write?: Operation[] } | null,
  ): Promise<void> {
    const { records, clock, onOrder } = this.#deps;
    this.record(name);
    await records.transact(() => {
      const job = this.record(name);
      const order = decide(job, clock.now());
      if (!order) return null;
      if (job.state === 'removing') throw new CerebroError('conflict', `"${name}" is being removed`);
      const { change, kind, message, write = [] } = order;
      return {
        write: [{ put: keys.job(name), value: { ...job, ...change } satisfies JobRecord }, ...write],
        events: [{ level: 'info', kind, message, job: name, by }],
      };
    });
    onOrder();
  }
}
