import { type JobRecord, reservationOf } from '../../model/job.ts';

/** Who follows whom: `linked_job` read both ways. Circles are refused at intake, so every chain ends. */
export class LinkedJobs {
  readonly #jobs: ReadonlyMap<string, JobRecord>;
  readonly #followers = new Map<string, JobRecord[]>();
  readonly #partners = new Map<string, readonly JobRecord[]>();

  constructor(jobs: ReadonlyMap<string, JobRecord>) {
    this.#jobs = jobs;
    for (const job of jobs.values()) {
      const leader = job.spec.linked_job;
      if (leader === undefined) continue;
      const followers = this.#followers.get(leader);
      if (followers) followers.push(job);
      else this.#followers.set(leader, [job]);
    }
  }

  followersOf(job: string): readonly JobRecord[] {
    return this.#followers.get(job) ?? [];
  }

  leaderOf(job: JobRecord): JobRecord | undefined {
    return job.spec.linked_job === undefined ? undefined : this.#jobs.get(job.spec.linked_job);
  }

  /** The jobs whose updates restart the copies of this one beside theirs (`link_restart`). */
  partnersOf(job: JobRecord): readonly JobRecord[] {
    const known = this.#partners.get(job.name);
    if (known) return known;
    const leader = this.leaderOf(job);
    const followers = this.followersOf(job.name).filter((follower) => follower.spec.link_restart === 'both');
    const partners = leader && job.spec.link_restart !== 'none' ? [leader, ...followers] : followers;
    this.#partners.set(job.name, partners);
    return partners;
  }

  /** The job at the end of the chain: the one that has a layout of its own. */
  rootOf(job: JobRecord): JobRecord {
    const leader = job.spec.linked_job === undefined ? undefined : this.#jobs.get(job.spec.linked_job);
    return leader ? this.rootOf(leader) : job;
  }

  /** What one copy of every direct and indirect follower reserves together. */
  alongside(job: string, zone: string): { cpu: number; mem: number } {
    const sum = { cpu: 0, mem: 0 };
    for (const follower of this.followersOf(job)) {
      if (follower.state !== 'active') continue;
      const own = reservationOf(follower.spec, zone);
      const further = this.alongside(follower.name, zone);
      sum.cpu += own.cpu + further.cpu;
      sum.mem += own.mem + further.mem;
    }
    return sum;
  }

  /** Leaders before their followers, whatever order they were made in. */
  chainsInOrder(): JobRecord[] {
    const depth = (job: JobRecord): number => {
      const leader = job.spec.linked_job === undefined ? undefined : this.#jobs.get(job.spec.linked_job);
      return leader ? depth(leader) + 1 : 0;
    };
    return [...this.#jobs.values()]
      .filter((job) => job.spec.linked_job !== undefined)
      .sort((a, b) => depth(a) - depth(b));
  }
}
