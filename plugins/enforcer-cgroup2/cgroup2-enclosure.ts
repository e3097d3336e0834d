import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/contracts/clock.ts';
import type {
  Breach,
  Enclosure,
  EnclosureEntry,
  EnclosureListener,
  Limits,
  RunAccount,
  RunIdentity,
} from '../../core/contracts/limit-enforcer.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { ProcessId, ProcessTable } from '../../core/contracts/process-table.ts';
import { CerebroError } from '../../core/errors.ts';
import { CPU_WINDOW_S, CpuWindow } from '../../core/model/cpu-window.ts';
import type { LimitHolds, TaskUsage } from '../../core/model/task.ts';
import { type Cgroup, fieldOf } from './cgroup.ts';
import { diskBytesOf } from './io-stat.ts';

const MB = 1024 * 1024;
/** Figures for people are not read more often than this. */
const USAGE_MS = 1000;
/** Those of who does not run are read less and less often, and at least this often. */
const LONGEST_USAGE_MS = 10_000;
/** Below this share of its threshold a warning is over: not to come and go with every look. */
const WARNING_OVER = 0.95;
/** An empty group is EBUSY for some milliseconds still after its last process was killed. */
const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 5;

interface Options {
  holds: LimitHolds;
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  released(enclosure: Cgroup2Enclosure): void;
}

/** One run in a group of its own. */
export class Cgroup2Enclosure implements Enclosure {
  readonly enforcer = 'cgroup2';
  readonly holds: LimitHolds;
  readonly entry: EnclosureEntry;
  readonly handle: string;
  readonly #group: Cgroup;
  readonly #run: RunIdentity;
  readonly #limits: Limits;
  readonly #options: Options;
  readonly #watchers: FSWatcher[] = [];
  #leader: ProcessId | null = null;
  #listener: EnclosureListener | null = null;
  #breached = false;
  readonly #warned = new Set<Breach['limit']>();
  /** Monotonic ms at which memory.high is set again; null: it is set. */
  #rearmAt: number | null = null;
  #highEvents = 0;
  #refusedForks = 0;
  readonly #window = new CpuWindow();
  #usage: TaskUsage | null = null;
  #usageAt: number;
  #usagePauseMs = USAGE_MS;
  #usageCpuUs = 0;
  #account: RunAccount | null = null;
  #released = false;

  constructor(group: Cgroup, run: RunIdentity, limits: Limits, options: Options) {
    this.#group = group;
    this.#run = run;
    this.#limits = limits;
    this.#options = options;
    this.holds = options.holds;
    this.handle = group.path;
    this.entry = { cgroupProcs: join(group.path, 'cgroup.procs') };
    this.#usageAt = options.clock.monotonic();
    // What an adopted run used before is no use of this second.
    if (run.adopted) this.#usageCpuUs = group.field('cpu.stat', 'usage_usec');
    if (run.adopted && limits.memWarnBytes !== null) group.tryWrite('memory.high', limits.memWarnBytes);
  }

  attach(leader: ProcessId): void {
    this.#leader = leader;
  }

  listen(listener: EnclosureListener): void {
    this.#listener = listener;
    if (this.#released) return;
    if (this.#limits.memBytes !== null) this.#watch('memory.events', () => this.#memoryNews());
    if (this.#limits.pids !== null) this.#watch('pids.events', () => this.#pidsNews());
  }

  causeOfEnd(): Breach | null {
    return this.#oom();
  }

  usage(): TaskUsage | null {
    const now = this.#options.clock.monotonic();
    if (this.#usage && now - this.#usageAt < this.#usagePauseMs) return this.#usage;
    const stat = this.#group.read('cpu.stat');
    if (stat === undefined) return this.#usage;
    const cpuUs = fieldOf(stat, 'usage_usec');
    const before = cpuUs === this.#usageCpuUs ? this.#usage : null;
    const elapsedMs = now - this.#usageAt;
    const cpu = elapsedMs <= 0 ? 0 : Math.round((cpuUs - this.#usageCpuUs) / elapsedMs) / 1000;
    this.#usageAt = now;
    this.#usageCpuUs = cpuUs;
    this.#usagePauseMs = before ? Math.min(this.#usagePauseMs * 2, LONGEST_USAGE_MS) : USAGE_MS;
    // What has not run since has not taken or given back anything either.
    this.#usage = before
      ? { ...before, cpu: 0 }
      : {
          cpu,
          memBytes: this.#workingSet(),
          processes: this.#group.number('pids.current') ?? 0,
          throttledSeconds: fieldOf(stat, 'throttled_usec') / 1e6,
          ...diskBytesOf(this.#group.read('io.stat')),
        };
    return this.#usage;
  }

  account(): RunAccount {
    if (this.#account) return this.#account;
    const stat = this.#group.read('cpu.stat') ?? '';
    return {
      // Before Linux 5.19 there is no memory.peak.
      peakMemBytes: this.#group.number('memory.peak') ?? this.#usage?.memBytes ?? 0,
      cpuSeconds: Math.round(fieldOf(stat, 'usage_usec') / 1000) / 1000,
      throttledSeconds: Math.round(fieldOf(stat, 'throttled_usec') / 1000) / 1000,
      oomKills: this.#group.field('memory.events', 'oom_kill'),
    };
  }

  signal(signal: NodeJS.Signals): void {
    const pids = new Set(this.#group.pids());
    // It may be on its way into the group still.
    if (this.#leaderLives()) pids.add(this.#leader?.pid ?? 0);
    for (const pid of pids) if (pid > 0) send(pid, signal);
  }

  async kill(deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + deadlineMs;
    for (let pause = 1; ; pause = Math.min(20, pause * 2)) {
      const leaderLives = this.#leaderLives();
      if (!leaderLives && !this.#group.isPopulated) return;
      if (leaderLives) send(this.#leader?.pid ?? 0, 'SIGKILL');
      // Before Linux 5.14 there is no cgroup.kill.
      if (!this.#group.tryWrite('cgroup.kill', 1)) for (const pid of this.#group.pids()) send(pid, 'SIGKILL');
      if (clock.monotonic() > deadline) {
        const pids = this.#group.pids();
        throw new CerebroError(
          'timeout',
          `${pids.length} processes of ${this.#run.task} survive SIGKILL (${pids.join(', ')}); they wait on a device or a network disk`,
        );
      }
      await new Promise<void>((resolve) => clock.timer(pause, resolve));
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#account = this.account();
    this.#listener = null;
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    this.#options.released(this);
    // Who leads it may still be on his way in.
    if (this.#group.isPopulated || this.#leaderLives()) {
      // The run goes on without us: nobody would hear its warning, and memory.high alone would only slow it down.
      this.#group.tryWrite('memory.high', 'max');
      return;
    }
    for (let left = REMOVE_TRIES; left > 0 && !this.#group.remove(); left--)
      await new Promise<void>((resolve) => this.#options.clock.timer(REMOVE_PAUSE_MS, resolve));
  }

  /** Whether something of this run has to be looked at every second: an average, or a warning that may be over. */
  get wantsLooks(): boolean {
    const { cpu, onCpu } = this.#limits;
    return this.#warned.size > 0 || this.#rearmAt !== null || (cpu !== null && onCpu !== 'throttle');
  }

  look(): void {
    const { cpu, onCpu, pids } = this.#limits;
    const now = this.#options.clock.monotonic();
    if (cpu !== null && onCpu !== 'throttle') this.#judgeCpu(cpu, now);
    if (this.#rearmAt !== null && now >= this.#rearmAt) this.#rearm();
    if (pids !== null && this.#warned.has('pids') && (this.#group.number('pids.current') ?? 0) < pids * WARNING_OVER)
      this.#calm('pids');
  }

  #judgeCpu(limit: number, now: number): void {
    this.#window.add(now, this.#group.field('cpu.stat', 'usage_usec') / 1e6);
    const average = (this.#window.average() ?? 0).toFixed(2);
    const sentence = `cpu: ${average} of ${limit} cores on average over ${CPU_WINDOW_S} s`;
    if (!this.#window.isOver(limit)) this.#calm('cpu');
    else if (this.#limits.onCpu === 'restart') this.#breach({ limit: 'cpu', sentence });
    else this.#warn('cpu', sentence);
  }

  #memoryNews(): void {
    const oom = this.#oom();
    if (oom) this.#breach(oom);
    const { memWarnBytes, memBytes } = this.#limits;
    if (memWarnBytes === null || memBytes === null || this.#rearmAt !== null) return;
    const reached = this.#group.field('memory.events', 'high');
    if (reached <= this.#highEvents) return;
    this.#highEvents = reached;
    // memory.high slows a run down more and more. It was only to ring: now it is lifted, and set again when the use is lower.
    this.#group.tryWrite('memory.high', 'max');
    this.#rearm();
  }

  /** Says that the run is near its memory, or sets the bell again where it is not. */
  #rearm(): void {
    const { memWarnBytes, memBytes } = this.#limits;
    if (memWarnBytes === null || memBytes === null) return;
    const used = this.#workingSet();
    const now = this.#options.clock.monotonic();
    if (used >= memWarnBytes * WARNING_OVER) {
      this.#warn('mem', `mem: ${mb(used)} of ${mb(memBytes)} MB in use (${Math.round((used / memBytes) * 100)} %)`);
      this.#rearmAt = now + USAGE_MS;
    } else if (this.#rearmAt === null) {
      // It was the page cache, which gives way by itself; where that grows on, the bell would ring all the time.
      this.#rearmAt = now + USAGE_MS;
    } else {
      this.#calm('mem');
      this.#rearmAt = null;
      this.#group.tryWrite('memory.high', memWarnBytes);
    }
  }

  #pidsNews(): void {
    const refused = this.#group.field('pids.events', 'max');
    if (refused <= this.#refusedForks) return;
    this.#refusedForks = refused;
    this.#warn(
      'pids',
      `pids: it has its ${this.#limits.pids} processes and threads; more were refused ${refused} times`,
    );
  }

  /** The kernel's kill for want of memory, if there was one that was not told yet. */
  #oom(): Breach | null {
    if (this.#breached) return null;
    const events = this.#group.read('memory.events') ?? '';
    const kills = fieldOf(events, 'oom_kill');
    if (kills === 0) return null;
    this.#breached = true;
    const { memBytes } = this.#limits;
    const peak = mb(this.account().peakMemBytes);
    const counted = `oom_kill ${kills}`;
    // Without an oom of its own group, it was the whole host that had no memory left.
    const sentence =
      memBytes === null || fieldOf(events, 'oom') === 0
        ? `mem: killed by the kernel because the whole machine was out of memory (it had ${peak} MB at its peak; ${counted})`
        : `mem: killed by the kernel at its limit, ${peak} of ${mb(memBytes)} MB (${counted})`;
    return { limit: 'mem', sentence };
  }

  /** Memory in use without the page cache that would give way by itself. */
  #workingSet(): number {
    const current = this.#group.number('memory.current') ?? 0;
    return Math.max(0, current - this.#group.field('memory.stat', 'inactive_file'));
  }

  #watch(file: string, news: () => void): void {
    try {
      const watcher = watch(join(this.#group.path, file), news);
      watcher.on('error', () => undefined); // the group is gone, and so is what there was to hear
      this.#watchers.push(watcher);
      news();
    } catch (error) {
      // The limit holds all the same, and its cause is read when the run ends; only warnings are missing.
      this.#options.logger.debug({ err: error, task: this.#run.task, file }, 'a file of a cgroup cannot be watched');
    }
  }

  #breach(breach: Breach): void {
    this.#breached = true;
    this.#listener?.onBreach(breach);
  }

  #warn(limit: Breach['limit'], sentence: string): void {
    if (this.#warned.has(limit)) return;
    this.#warned.add(limit);
    this.#listener?.onWarning({ limit, sentence });
  }

  #calm(limit: Breach['limit']): void {
    if (this.#warned.delete(limit)) this.#listener?.onWarning({ limit, sentence: null });
  }

  #leaderLives(): boolean {
    if (!this.#leader) return false;
    const info = this.#options.processes.read(this.#leader.pid);
    return info !== undefined && info.startTime === this.#leader.startTime && info.state !== 'Z';
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone since it was listed
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / MB);
}
