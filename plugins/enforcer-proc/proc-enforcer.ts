import pidusage from 'pidusage';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Enclosure, LimitEnforcer, Limits, RunIdentity } from '../../core/contracts/limit-enforcer.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';
import type { LimitHolds } from '../../core/model/task.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { ProcEnclosure } from './proc-enclosure.ts';
import { ProcessIndex } from './process-index.ts';
import type { Config } from './schema.ts';

/** How often it is seen who was born, also where no limit asks: who leaves his family and drops his environment later is known by then. */
const BIRTHS_MS = 250;

interface Services {
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
}

/**
 * Limits without the kernel's help: the whole process tree of a run is sampled with pidusage. Every `poll_interval` it is asked
 * whether a run could have broken its limits since it was last looked at (see ProcEnclosure.isSuspect), and only then it is
 * looked at: many idle tasks cost next to nothing. Memory is the sum of the resident sets, which counts shared pages once for each process: on
 * the safe side.
 */
export class ProcEnforcer implements LimitEnforcer {
  readonly name = 'proc';
  readonly holds: LimitHolds = { cpu: 'measured', mem: 'polled', pids: 'polled', io: 'none' };
  readonly adoptsAny = true;
  readonly #services: Services;
  readonly #config: Config;
  readonly #runs = new Set<ProcEnclosure>();
  readonly #index: ProcessIndex;
  #timer: Timer | null = null;
  #timerAt = 0;
  #birthsAt = 0;
  #sampling = false;
  #stopped = false;

  constructor(services: Services, config: Config) {
    this.#services = services;
    this.#config = config;
    this.#index = new ProcessIndex(services.processes);
  }

  async probe(): Promise<{ works: true } | { works: false; sentence: string }> {
    const self = this.#services.processes.read(process.pid);
    return self ? { works: true } : { works: false, sentence: '/proc cannot be read on this host; mount it' };
  }

  async start(): Promise<void> {
    this.#stopped = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#runs.clear();
    pidusage.clear();
  }

  async enclose(run: RunIdentity, limits: Limits): Promise<Enclosure> {
    return new ProcEnclosure(run, limits, {
      holds: this.holds,
      idleMs: this.#config.idle_interval * 1000,
      clock: this.#services.clock,
      index: this.#index,
      added: (enclosure) => {
        this.#runs.add(enclosure);
        this.#schedule();
      },
      removed: (enclosure) => this.#runs.delete(enclosure),
    });
  }

  /** One timer for all runs: at the pace of the most impatient limit, or when a figure for people is due. */
  #schedule(): void {
    if (this.#stopped || this.#sampling || this.#runs.size === 0) return;
    const now = this.#services.clock.monotonic();
    let at = now + BIRTHS_MS;
    for (const run of this.#runs) at = Math.min(at, run.shownAt, now + (run.pollMs ?? BIRTHS_MS));
    if (this.#timer && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#services.clock.timer(Math.max(5, at - now), () => {
      this.#timer = null;
      this.#sample().catch((error: unknown) =>
        this.#services.logger.warn({ err: error }, 'processes could not be sampled'),
      );
    });
  }

  async #sample(): Promise<void> {
    this.#sampling = true;
    try {
      const now = this.#services.clock.monotonic();
      const allocated = allocatedBytes();
      // Who could have grown too large may have done so in a child that is not known yet; for the rest, now and then is enough.
      const suspects = [...this.#runs].filter((run) => run.isSuspect(now, allocated));
      if (suspects.length > 0 || now - this.#birthsAt >= BIRTHS_MS - 5) {
        this.#birthsAt = now;
        this.#index.refresh();
      }
      const due: { run: ProcEnclosure; members: ProcessInfo[] }[] = [];
      for (const run of this.#runs) {
        if (!run.isDue(now) && !run.isSuspect(now, allocated)) continue;
        const members = this.#index.members(run);
        if (run.glance(members, now, allocated) || (run.isDue(now) && !run.isUnchanged(members, now)))
          due.push({ run, members });
      }
      const pids = due.flatMap(({ members }) => members.map((info) => info.pid));
      const stats = pids.length === 0 ? {} : await pidusage(pids).catch(() => ({}));
      for (const { run, members } of due) run.take(members, stats, now);
    } finally {
      this.#sampling = false;
      this.#schedule();
    }
  }
}
