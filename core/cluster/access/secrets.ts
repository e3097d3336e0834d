import type { Clock } from '../../contracts/clock.ts';
import type { Operation } from '../../contracts/state-store.ts';
import { secretsIn } from '../../decide/task/task-variables.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import type { JobRecord, JobSpec, JobVersion } from '../../model/job.ts';
import type { SealedValue, SecretRecord, SecretView } from '../../model/secret.ts';
import { newRollOut } from '../records/apply-plan.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import { surplusVersions, versionsInUse } from '../records/kept-versions.ts';
import type { SecretKey } from './secret-key.ts';

export interface SecretsDeps {
  records: ClusterRecords;
  key: SecretKey;
  clock: Clock;
  /** The records have changed: there is something to do. */
  onOrder(): void;
}

/** What came of setting a secret. */
export interface SecretSet {
  version: number;
  /** The jobs that have a new version because of it. */
  updated: string[];
}

/**
 * Texts that copies are given in their environment and that nobody is shown again. In the store they are sealed; the key is not in it.
 * A value that changes is a new version of each job that names the secret, rolled like any other, and so also taken back like any other:
 * each version of a job says which value it runs with, and a value is kept for as long as a version names it.
 */
export class Secrets {
  readonly #deps: SecretsDeps;

  constructor(deps: SecretsDeps) {
    this.#deps = deps;
  }

  list(): SecretView[] {
    const { secrets } = this.#deps.records;
    const views = [...secrets.values()].flatMap(({ name, values }): SecretView[] => {
      const newest = newestOf(values);
      if (!newest) return [];
      const { version, at, by } = newest;
      return [{ name, version, setAt: at, by, jobs: this.#usersOf(name).map((job) => job.name) }];
    });
    return views.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async set(name: string, text: string, by: string): Promise<SecretSet> {
    const { records, clock, onOrder } = this.#deps;
    let result: SecretSet = { version: 0, updated: [] };
    await records.transact(() => {
      const keyId = this.#keyForSealing();
      const before = records.secrets.get(name);
      const newest = before && newestOf(before.values);
      const now = clock.now();
      const same = newest?.key === keyId && this.#open(name, newest) === text;
      const version = same ? newest.version : (newest?.version ?? 0) + 1;
      // A job that went back to an older value is to have this one, also where it is not new.
      const behind = this.#usersOf(name).filter((job) => !same || this.#valueOf(name, this.#versionOf(job)) !== newest);
      const changes = behind.map((job) => this.#nextVersion(job, { [name]: version }, by, now));
      result = { version, updated: changes.map(({ job }) => job) };
      const write = changes.flatMap((change) => change.write);
      const events = changes.map(({ event }) => event);
      if (same) return changes.length === 0 ? null : { write, events };
      const sealed = this.#deps.key.seal(text, aboutOf(name, version));
      const value: SealedValue = { version, key: keyId, sealed, at: new Date(now).toISOString(), by };
      const kept = before?.values.filter((each) => this.#isNamed(name, each.version)) ?? [];
      const record: SecretRecord = { name, values: [...kept, value] };
      const what = before ? `has a new value (${version})` : 'was set';
      const event: NewEvent = { level: 'info', kind: 'secret-set', message: `the secret "${name}" ${what}`, by };
      return { write: [{ put: keys.secret(name), value: record }, ...write], events: [event, ...events] };
    });
    onOrder();
    return result;
  }

  async remove(name: string, by: string): Promise<void> {
    const { records } = this.#deps;
    await records.transact(() => {
      if (!records.secrets.has(name)) throw this.#unknown(name);
      const users = this.#usersOf(name).map((job) => `"${job.name}"`);
      if (users.length > 0)
        throw new CerebroError(
          'conflict',
          `the secret "${name}" is given to ${users.join(', ')}; take it out of there first`,
        );
      const older = this.#olderUsersOf(name);
      if (older.length > 0)
        throw new CerebroError(
          'conflict',
          `the secret "${name}" is given to ${older.join(', ')}; remove it after that`,
        );
      const event: NewEvent = {
        level: 'info',
        kind: 'secret-removed',
        message: `the secret "${name}" was removed`,
        by,
      };
      return { write: [{ delete: keys.secret(name) }], events: [event] };
    });
  }

  /** Which values a version that is made now runs with. */
  newest(spec: JobSpec): Record<string, number> | undefined {
    const names = secretsIn(spec.task_configuration.env);
    if (names.length === 0) return undefined;
    return Object.fromEntries(
      names.map((name) => [name, newestOf(this.#deps.records.secrets.get(name)?.values ?? [])?.version ?? 0]),
    );
  }

  /** One sentence for each secret that a job names and that there is not. */
  missing(spec: JobSpec): string[] {
    const { secrets } = this.#deps.records;
    return secretsIn(spec.task_configuration.env)
      .filter((name) => !secrets.has(name))
      .map((name) => `"${spec.task_configuration.name}": ${this.#unknown(name).message}`);
  }

  /** The texts that a version of a job is to run with, by name. Throws `unavailable` for one that cannot be opened here. */
  of(job: string, version: number): Record<string, string> | undefined {
    const { records } = this.#deps;
    const record = records.versions.get(keys.version(job, version));
    const names = record ? secretsIn(record.spec.task_configuration.env) : [];
    if (names.length === 0) return undefined;
    const texts = names.map((name): [string, string] => {
      const value = this.#valueOf(name, record);
      if (!value) throw this.#unknown(name);
      return [name, this.#open(name, value)];
    });
    return Object.fromEntries(texts);
  }

  /** The value that a version of a job runs with. */
  #valueOf(name: string, version: JobVersion | undefined): SealedValue | undefined {
    const values = this.#deps.records.secrets.get(name)?.values ?? [];
    // One that was removed and set anew has begun to count again.
    return values.find((each) => each.version === version?.secrets?.[name]) ?? newestOf(values);
  }

  #open(name: string, value: SealedValue): string {
    const { key } = this.#deps;
    const own = key.id();
    if (own !== null && own !== value.key)
      throw new CerebroError(
        'unavailable',
        `the secret "${name}" was sealed with another key than the one that is here; bring that key file, or set the secret anew`,
      );
    return key.open(value.sealed, aboutOf(name, value.version));
  }

  /** A key is made only where nothing was sealed yet: else it is somewhere, and is to be brought here. */
  #keyForSealing(): string {
    const { key, records } = this.#deps;
    if (key.id() === null && records.secrets.size > 0) {
      const [first] = records.secrets.values();
      const sealed = first && newestOf(first.values);
      if (first && sealed) key.open(sealed.sealed, aboutOf(first.name, sealed.version));
    }
    key.make();
    const id = key.id();
    if (id === null) throw new CerebroError('unavailable', 'the key for secrets could not be made');
    return id;
  }

  #usersOf(name: string): JobRecord[] {
    return [...this.#deps.records.jobs.values()].filter((job) => job.state === 'active' && isGiven(job, name));
  }

  /** Versions that a roll-out has not done with yet, in words: it may go back to them, or begin their copies anew. */
  #olderUsersOf(name: string): string[] {
    const { records } = this.#deps;
    const names = new Set(
      [...records.versions.values()].filter((version) => isGiven(version, name)).map(({ job }) => job),
    );
    const active = [...records.jobs.values()].filter((job) => job.state === 'active' && names.has(job.name));
    return active.flatMap((job) =>
      [...versionsInUse(records, job.name)]
        .filter((version) => isGiven(this.#versionOf({ name: job.name, version }), name))
        .map((version) => `version ${version} of "${job.name}" until version ${job.version} is everywhere and well`),
    );
  }

  #versionOf({ name, version }: Pick<JobRecord, 'name' | 'version'>): JobVersion | undefined {
    return this.#deps.records.versions.get(keys.version(name, version));
  }

  #isNamed(name: string, version: number): boolean {
    return [...this.#deps.records.versions.values()].some(({ secrets }) => secrets?.[name] === version);
  }

  #nextVersion(
    job: JobRecord,
    secrets: Record<string, number>,
    by: string,
    now: number,
  ): { job: string; write: Operation[]; event: NewEvent } {
    const { records } = this.#deps;
    const version = job.lastVersion + 1;
    const at = new Date(now).toISOString();
    const record: JobVersion = {
      job: job.name,
      version,
      spec: job.spec,
      secrets: { ...this.newest(job.spec), ...secrets },
      createdAt: at,
      by,
      outcome: null,
      sentence: null,
    };
    const after: JobRecord = {
      ...job,
      version,
      lastVersion: version,
      rollout: newRollOut(version, now),
      updatedAt: at,
    };
    const names = Object.keys(secrets).join(', ');
    const message = `"${job.name}" was updated, version ${version}: it is given ${names}, which has changed`;
    return {
      job: job.name,
      write: [
        { put: keys.job(job.name), value: after },
        { put: keys.version(job.name, version), value: record },
        ...surplusVersions(records, job.name, version).map((old): Operation => ({ delete: old })),
      ],
      event: { level: 'info', kind: 'job-updated', message, job: job.name, by },
    };
  }

  #unknown(name: string): CerebroError {
    const near = didYouMean(name, this.#deps.records.secrets.keys());
    return new CerebroError('not_found', `there is no secret "${name}"${near}; set it: cerebro secret set ${name}`);
  }
}

function isGiven(version: { spec: JobSpec } | undefined, secret: string): boolean {
  return version !== undefined && secretsIn(version.spec.task_configuration.env).includes(secret);
}

/** A sealed text is good in its own place only. */
function aboutOf(name: string, version: number): string {
  return `${name}/${version}`;
}

function newestOf(values: readonly SealedValue[]): SealedValue | undefined {
  return values.at(-1);
}
