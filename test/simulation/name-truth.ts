import { basenameOf, poolName, regionOf } from '../../core/decide/dns/dns-names.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import { copiesIn, type JobRecord, runsByTurns } from '../../core/model/job.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { Settings } from '../../core/model/settings.ts';
import type { Cloud } from './cloud.ts';
import type { Ledger } from './ledger.ts';

/** What names should lead to, by the records and by the world as it truly is. */
export class NameTruth {
  readonly #ledger: Ledger;
  readonly #cloud: Cloud;
  readonly #scope: Settings['dns_scope'];

  constructor(ledger: Ledger, cloud: Cloud, settings: Settings) {
    this.#ledger = ledger;
    this.#cloud = cloud;
    this.#scope = settings.dns_scope;
  }

  /** The name of the pool that a job's copies of a zone are in; null: they have no names. */
  poolOf(job: JobRecord, zone: string): string | null {
    const basename = basenameOf(job.spec);
    return basename === null ? null : poolName(regionOf(zone, this.#scope), basename);
  }

  /** The copies of a pool, wherever they are in their lives. */
  members(pool: string): CopyRecord[] {
    return [...this.#ledger.copies.values()].filter((copy) => {
      const job = this.#ledger.jobs.get(copy.job);
      return job !== undefined && this.poolOf(job, copy.zone) === pool;
    });
  }

  machine(copy: CopyRecord): MachineRecord | undefined {
    return this.#ledger.machines.get(copy.machine);
  }

  /** It answers whoever comes, in truth. */
  serves(copy: CopyRecord): boolean {
    const task = this.#cloud.task(copy);
    return task?.phase === 'running' && (task.health ?? 'healthy') === 'healthy';
  }

  /** The pools that people want answered, with the job of each. */
  wanted(): Map<string, JobRecord> {
    const wanted = new Map<string, JobRecord>();
    const want = (job: JobRecord, zone: string): void => {
      const pool = this.poolOf(job, zone);
      if (pool !== null) wanted.set(pool, job);
    };
    for (const job of this.#ledger.jobs.values()) {
      const root = this.#rootOf(job);
      if (root === null || runsByTurns(root)) continue;
      for (const [zone, entry] of Object.entries(root.spec.deployment_layout)) if (copiesIn(entry) > 0) want(job, zone);
    }
    return wanted;
  }

  /** The job whose layout says where this one runs; null: it or what it follows is stopped or being removed. */
  #rootOf(job: JobRecord): JobRecord | null {
    if (job.state !== 'active' || job.stopped) return null;
    if (job.spec.linked_job === undefined) return job;
    const leader = this.#ledger.jobs.get(job.spec.linked_job);
    return leader ? this.#rootOf(leader) : null;
  }
}
