import type { JobChange } from '../../contracts/cluster-api.ts';
import type { Operation } from '../../contracts/state-store.ts';
import { checkDnsNames, type DnsScope } from '../../decide/dns/dns-names.ts';
import { countingOn } from '../../decide/plan/found-tasks.ts';
import { settledUntil } from '../../decide/plan/job-runs.ts';
import { checkJobs, compareSpecs, slugFor } from '../../decide/read/check-jobs.ts';
import { readJobFile } from '../../decide/read/read-job-file.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import { canonical, type JobRecord, type JobSpec, type JobVersion } from '../../model/job.ts';
import type { MachineType } from '../../model/plan.ts';
import type { Secrets } from '../access/secrets.ts';
import type { RecipeRunner } from '../copies/recipe-runner.ts';
import { newRollOut } from '../records/apply-plan.ts';
import { type ClusterRecords, keys, type RecordChange } from '../records/cluster-records.ts';
import { surplusVersions } from '../records/kept-versions.ts';

export interface IntakeDeps {
  records: ClusterRecords;
  recipes: RecipeRunner;
  providers: readonly string[];
  types(zone: string): readonly MachineType[];
  /** Why nothing is to be had in a zone, as its provider says it. */
  complaint?(zone: string): string | null;
  dnsScope: DnsScope;
  secrets: Pick<Secrets, 'missing' | 'newest'>;
}

/** What a job file would change: decided as a whole, before anything is changed. */
export interface Draft {
  changes: JobChange[];
  jobs: JobRecord[];
  versions: JobVersion[];
}

/** Takes job files in: checks everything first, then changes all of it in one commit, or nothing. */
export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Reads and checks a job file. Throws `invalid` with every problem that was found. */
  async read(text: string, source: string): Promise<JobSpec[]> {
    const { entries, problems } = readJobFile(text, source);
    if (problems.length > 0) throw refused(problems.map((problem) => problem.sentence));
    const specs = entries.map((entry) => entry.spec);
    const { recipes } = this.#deps;
    const found = this.#check(specs);
    for (const spec of specs) {
      if (spec.deployment_recipe === undefined) continue;
      try {
        await recipes.find(spec.deployment_recipe, spec.recipe_options);
      } catch (error) {
        found.push(`"${spec.task_configuration.name}": ${messageOf(error)}`);
        // Whoever sent the file waits; the next one of it would take as long.
        if (error instanceof CerebroError && error.code === 'timeout') break;
      }
    }
    if (found.length > 0) throw refused(found.map((sentence) => `${source}: ${sentence}`));
    return specs;
  }

  /** What these jobs change, compared with the records as they are now. */
  draft(specs: readonly JobSpec[], by: string, now: number): Draft {
    const { records, secrets } = this.#deps;
    const at = new Date(now).toISOString();
    const taken = new Set([...records.jobs.values()].map((job) => job.slug));
    const draft: Draft = { changes: [], jobs: [], versions: [] };
    for (const spec of specs) {
      const { name } = spec.task_configuration;
      const before = records.jobs.get(name);
      const { change, restarts } = compareSpecs(before?.spec, spec, (a, b) => canonical(a) === canonical(b));
      const found = before ? null : countingOn(records.machines.values(), spec);
      const version = !before ? (found?.version ?? 1) : restarts ? before.lastVersion + 1 : before.version;
      draft.changes.push({ job: name, change, version, restarts });
      if (change === 'unchanged') continue;
      const slug = before?.slug ?? slugFor(name, taken);
      taken.add(slug);
      draft.jobs.push({
        name,
        slug,
        version,
        lastVersion: Math.max(before?.lastVersion ?? 0, found?.lastVersion ?? 0, version),
        goodVersion: before?.goodVersion ?? null,
        rollout: !before || restarts ? newRollOut(version, now) : before.rollout,
        stopped: before?.stopped ?? false,
        restarts: before?.restarts ?? 0,
        runs: before?.runs ?? [],
        scheduledUntil: before ? settledUntil(before, spec, now) : now,
        spec,
        nextSerial: before?.nextSerial ?? Math.max(records.serials.get(`job/${slug}`) ?? 1, found?.nextSerial ?? 1),
        state: 'active',
        createdAt: before?.createdAt ?? at,
        updatedAt: at,
      });
      const known = before && !restarts ? records.versions.get(keys.version(name, version)) : undefined;
      const given = secrets.newest(spec);
      draft.versions.push({
        job: name,
        version,
        ...(given !== undefined && { secrets: given }),
        createdAt: at,
        by,
        outcome: null,
        sentence: null,
        ...known,
        spec,
      });
    }
    return draft;
  }

  /** Throws `invalid` for what this cluster cannot do. */
  check(specs: readonly JobSpec[]): void {
    const found = this.#check(specs);
    if (found.length > 0) throw refused(found);
  }

  async apply(specs: readonly JobSpec[], by: string, now: number, ifUpdatedAt?: string): Promise<JobChange[]> {
    let changes: JobChange[] = [];
    await this.#deps.records.transact(() => {
      // Made again in its turn: what the check saw may have changed since.
      this.check(specs);
      if (ifUpdatedAt !== undefined) this.#refuseStale(specs, ifUpdatedAt);
      const draft = this.draft(specs, by, now);
      changes = draft.changes;
      return this.#write(draft, by);
    });
    return changes;
  }

  /** What these jobs ask for that this cluster cannot do. */
  #check(specs: readonly JobSpec[]): string[] {
    const { records, providers, types, complaint, dnsScope, secrets } = this.#deps;
    const problems = checkJobs(specs, { jobs: records.jobs, providers, types, ...(complaint && { complaint }) });
    const missing = specs.flatMap((spec) => secrets.missing(spec));
    return [...problems, ...missing, ...checkDnsNames(specs, records.jobs, dnsScope)];
  }

  #write(draft: Draft, by: string): RecordChange {
    const write: Operation[] = [];
    for (const job of draft.jobs) write.push({ put: keys.job(job.name), value: job });
    for (const version of draft.versions) {
      write.push({ put: keys.version(version.job, version.version), value: version });
      for (const old of surplusVersions(this.#deps.records, version.job, version.version)) write.push({ delete: old });
    }
    const events = draft.changes
      .filter(({ change }) => change !== 'unchanged')
      .map(({ job, change, version, restarts }): NewEvent => {
        const message =
          change === 'created'
            ? `"${job}" was created`
            : `"${job}" was updated${restarts ? `, version ${version}` : '; nothing restarts for it'}`;
        return { level: 'info', kind: `job-${change}`, message, job, by };
      });
    return { write, events };
  }

  #refuseStale(specs: readonly JobSpec[], updatedAt: string): void {
    for (const { task_configuration } of specs) {
      const job = this.#deps.records.jobs.get(task_configuration.name);
      if (!job || job.updatedAt === updatedAt) continue;
      throw new CerebroError(
        'conflict',
        `"${job.name}" was changed by somebody else at ${job.updatedAt}, after you began to edit it; nothing was changed: look at it anew`,
      );
    }
  }
}

function refused(problems: readonly string[]): CerebroError {
  const sentence =
    problems.length === 1
      ? (problems[0] ?? '')
      : `${problems.length} problems, nothing was changed:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  return new CerebroError('invalid', sentence, { details: { problems } });
}
