import pidusage from 'pidusage';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type {
  Breach,
  Enclosure,
  EnclosureEntry,
  LimitEnforcer,
  Limits,
  RunIdentity,
} from '../../core/contracts/limit-enforcer.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';
import { CerebroError } from '../../core/errors.ts';
import type { LimitHolds, TaskUsage } from '../../core/model/task.ts';
import { grownTree, HostReader, type HostReading, treeOf } from './host-reading.ts';
import type { Config } from './schema.ts';

const MB = 1024 * 1024;
/** How often all processes of the host are looked through, for those that are found no other way (a child that called setsid and lost its parent). */
const FULL_LOOK_MS = 1000;

interface Services {
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
}

/**
 * Limits without the kernel's help: the whole process tree of each run is sampled with pidusage, every `poll_interval` where
 * there is a memory limit and every `idle_interval` where there is none. Memory is the sum of the resident sets, which counts
 * shared pages once for each process: on the safe side. cpu is measured and shown, and not held.
 */
export class ProcEnforcer implements LimitEnforcer {
  readonly name = 'proc';
  readonly holds: LimitHolds = { cpu: 'measured', mem: 'polled' };
  readonly #services: Services;
  readonly #config: Config;
  readonly #runs = new Set<ProcEnclosure>();
  readonly #reader: HostReader;
  #timer: Timer | null = null;
  #sampling = false;
  #stopped = false;

  constructor(services: Services, config: Config) {
    this.#services = services;
    this.#config = config;
    this.#reader = new HostReader(services.processes);
  }

  async probe(): Promise<{ works: true } | { works: false; sentence: string }> {
    const self = this.#services.processes.read(process.pid);
    return self ? { works: true } : { works: false, sentence: '/proc cannot be read on this host' };
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
    const interval = limits.memBytes === null ? this.#config.idle_interval : limits.pollInterval;
    return new ProcEnclosure(run, limits, interval * 1000, this.#services.clock, {
      read: () => this.#reader.read(),
      added: (enclosure) => {
        this.#runs.add(enclosure);
        this.#schedule();
      },
      removed: (enclosure) => this.#runs.delete(enclosure),
    });
  }

  /** One timer for all runs, at the time of the one that is due first. */
  #schedule(): void {
    if (this.#stopped || this.#sampling) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#runs.size === 0) return;
    const now = this.#services.clock.monotonic();
    let due = Number.POSITIVE_INFINITY;
    for (const run of this.#runs) due = Math.min(due, run.dueAt);
    this.#timer = this.#services.clock.timer(Math.max(5, due - now), () => void this.#sample());
  }

  async #sample(): Promise<void> {
    this.#sampling = true;
    const now = this.#services.clock.monotonic();
    const due = [...this.#runs].filter((run) => run.dueAt <= now + 5);
    try {
      // The whole host is looked through for those whose turn it is; the others are followed from what is known of them.
      const reading = due.some((run) => run.fullDueAt <= now) ? this.#reader.read() : null;
      const trees = due.map((run) => (reading ? run.look(reading, now) : run.follow(this.#services.processes)));
      const pids = trees.flat().map((info) => info.pid);
      const stats = pids.length === 0 ? {} : await pidusage(pids).catch(() => ({}));
      for (const [i, run] of due.entries()) run.take(trees[i] ?? [], stats, now);
    } catch (error) {
      this.#services.logger.warn({ err: error }, 'processes could not be sampled');
    } finally {
      this.#sampling = false;
      this.#schedule();
    }
  }
}

type Stats = Partial<Record<string, { cpu: number; memory: number; ctime: number }>>;

/** What an enclosure needs of the enforcer that made it. */
interface Host {
  read(): HostReading;
  added(enclosure: ProcEnclosure): void;
  removed(enclosure: ProcEnclosure): void;
}

class ProcEnclosure implements Enclosure {
  readonly entry: EnclosureEntry = { cgroupProcs: null };
  dueAt = 0;
  fullDueAt = 0;
  #members: readonly ProcessInfo[] = [];
  #leader: { pid: number; startTime: number } | null = null;
  #usage: TaskUsage | null = null;
  #peak = 0;
  /** CPU milliseconds that each living process had at the last sample. */
  readonly #cpuMs = new Map<string, number>();
  #cpuTotalMs = 0;
  #listener: ((breach: Breach) => void) | null = null;
  #breached = false;
  #sampledAt = 0;
  readonly #run: RunIdentity;
  readonly #limits: Limits;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #host: Host;

  constructor(run: RunIdentity, limits: Limits, intervalMs: number, clock: Clock, host: Host) {
    this.#run = run;
    this.#limits = limits;
    this.#intervalMs = intervalMs;
    this.#clock = clock;
    this.#host = host;
  }

  attach(leader: { pid: number; startTime: number }): void {
    this.#leader = leader;
    this.dueAt = this.#clock.monotonic() + this.#intervalMs;
    this.#host.added(this);
  }

  onBreach(listener: (breach: Breach) => void): void {
    this.#listener = listener;
  }

  usage(): TaskUsage | null {
    return this.#usage;
  }

  peakMemBytes(): number {
    return this.#peak;
  }

  cpuSeconds(): number {
    return Math.round(this.#cpuTotalMs) / 1000;
  }

  tree(reading: HostReading): ProcessInfo[] {
    return treeOf({ marker: this.#run.marker, leader: this.#leader }, reading);
  }

  look(reading: HostReading, now: number): ProcessInfo[] {
    this.fullDueAt = now + FULL_LOOK_MS;
    const tree = this.tree(reading);
    this.#members = tree;
    return tree;
  }

  follow(table: ProcessTable): readonly ProcessInfo[] {
    const tree = grownTree(table, this.#members);
    // Where children are not told, the next sample looks at everybody again.
    if (tree === undefined) this.fullDueAt = 0;
    else this.#members = tree;
    return this.#members;
  }

  take(tree: readonly ProcessInfo[], stats: Stats, now: number): void {
    let memory = 0;
    let usedMs = 0;
    let processes = 0;
    for (const info of tree) {
      const stat = stats[info.pid];
      if (!stat) continue;
      const key = `${info.pid}:${info.startTime}`;
      memory += stat.memory;
      usedMs += Math.max(0, stat.ctime - (this.#cpuMs.get(key) ?? 0));
      this.#cpuMs.set(key, stat.ctime);
      processes += 1;
    }
    const here = new Set(tree.map((info) => `${info.pid}:${info.startTime}`));
    for (const key of this.#cpuMs.keys()) if (!here.has(key)) this.#cpuMs.delete(key);
    const seconds = (now - this.#sampledAt) / 1000;
    const cpu = this.#sampledAt === 0 || seconds <= 0 ? 0 : usedMs / 1000 / seconds;
    this.#cpuTotalMs += usedMs;
    this.#sampledAt = now;
    this.dueAt = now + this.#intervalMs;
    this.#peak = Math.max(this.#peak, memory);
    this.#usage = { cpu: Math.round(cpu * 1000) / 1000, memBytes: memory, processes };
    const limit = this.#limits.memBytes;
    if (limit !== null && memory > limit && !this.#breached) {
      this.#breached = true;
      this.#listener?.({
        limit: 'mem',
        sentence: `mem: ${mb(memory)} of ${mb(limit)} MB in use (peak ${mb(this.#peak)} MB)`,
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    for (const info of this.tree(this.#host.read())) send(info.pid, signal);
  }

  async kill(deadlineMs: number): Promise<void> {
    const deadline = this.#clock.monotonic() + deadlineMs;
    for (;;) {
      // Stopped first, so that a fork bomb cannot outrun the list; then killed.
      const members = this.tree(this.#host.read());
      if (members.length === 0) return;
      if (members.length > 1) for (const info of members) send(info.pid, 'SIGSTOP');
      for (const info of members) send(info.pid, 'SIGKILL');
      if (this.#clock.monotonic() > deadline) {
        const pids = members.map((info) => info.pid).join(', ');
        throw new CerebroError(
          'timeout',
          `${members.length} processes of ${this.#run.task} survive SIGKILL (${pids}); they wait on a device or a network disk`,
        );
      }
      await new Promise<void>((resolve) => this.#clock.timer(5, resolve));
    }
  }

  async release(): Promise<void> {
    this.#host.removed(this);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone since the list was made
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / MB);
}
