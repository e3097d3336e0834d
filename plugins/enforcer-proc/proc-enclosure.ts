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
import type { ProcessId, ProcessInfo } from '../../core/contracts/process-table.ts';
import { CerebroError } from '../../core/errors.ts';
import { CPU_WINDOW_S, CpuWindow } from '../../core/model/cpu-window.ts';
import type { LimitHolds, TaskUsage } from '../../core/model/task.ts';
import type { IndexedRun, ProcessIndex } from './process-index.ts';
import { type DiskBytes, diskBytesOf } from './process-io.ts';

/** So often nobody must be found, with so long between, before a run counts as ended. */
const EMPTY_LOOKS = 2;
const LOOK_AGAIN_MS = 3;
const MB = 1024 * 1024;
/** The kernel counts a process's memory with a little delay; so much may be missing from the count. */
const COUNT_SLACK_BYTES = MB;
const CPU_SAMPLE_MS = 1000;
/** What it read and wrote is for people alone, and costs a file for each process. */
const DISK_SAMPLE_MS = 2000;
/** Who has not run is looked at for people less and less often, but after so many of the usual pauses. */
const LONGEST_PAUSE = 5;
/** Processor time is counted in these. */
const TICK_MS = 10;
/** Below this share of memory a warning is over: not to come and go with every sample. */
const WARNING_OVER = 0.95;

export type Stats = Partial<Record<string, { memory: number; ctime: number }>>;

interface Options {
  holds: LimitHolds;
  /** Milliseconds between samples for people, where no limit asks for more. */
  idleMs: number;
  clock: Clock;
  index: ProcessIndex;
  /** It is to be sampled from now on, or no longer. */
  added(enclosure: ProcEnclosure): void;
  removed(enclosure: ProcEnclosure): void;
}

/** One run, sampled. It says when it has to be looked at; what was seen is told to `glance` and `take`. */
export class ProcEnclosure implements Enclosure, IndexedRun {
  readonly enforcer = 'proc';
  readonly holds: LimitHolds;
  readonly entry: EnclosureEntry = { cgroupProcs: null };
  readonly handle = null;
  readonly marker: string;
  leader: ProcessId | null = null;
  readonly #run: RunIdentity;
  readonly #limits: Limits;
  readonly #options: Options;
  #listener: EnclosureListener | null = null;
  #released = false;
  /** Whether there is a limit that a look could find broken. */
  readonly #isLimited: boolean;
  /** Milliseconds from one sample for people to the next. */
  #pauseMs: number;
  /** When the next sample is due for people, whatever the limits say; monotonic ms. */
  #shownAt = 0;
  /** CPU ticks of all its processes at the last sample. */
  #ticks = -1;
  /** Processes came that no sample has seen. */
  #grown = true;
  #sampledAt = 0;
  /** The last quick look: when, what its processes had then, and what the host had handed out. */
  #glancedAt = 0;
  #glancedBytes = 0;
  #allocatedAt = Number.NaN;
  #usage: TaskUsage | null = null;
  #disk: DiskBytes | null = null;
  #diskAt = Number.NEGATIVE_INFINITY;
  #peak = 0;
  /** CPU milliseconds that each living process had at the last sample. */
  readonly #cpuMs = new Map<string, number>();
  #cpuTotalMs = 0;
  readonly #window = new CpuWindow();
  #breached = false;
  readonly #warned = new Set<Breach['limit']>();

  constructor(run: RunIdentity, limits: Limits, options: Options) {
    this.#run = run;
    this.marker = run.marker;
    this.#limits = limits;
    this.#options = options;
    this.holds = options.holds;
    this.#isLimited = limits.memBytes !== null || limits.pids !== null;
    this.#pauseMs = options.idleMs;
    options.index.add(this);
  }

  attach(leader: ProcessId): void {
    if (this.#released) return;
    this.leader = leader;
    this.#options.index.led(leader);
    const { measure } = this.#limits;
    this.#shownAt = measure ? this.#options.clock.monotonic() + this.#options.idleMs : Number.POSITIVE_INFINITY;
    this.#options.added(this);
  }

  listen(listener: EnclosureListener): void {
    this.#listener = listener;
  }

  grew(): void {
    this.#grown = true;
  }

  /** A sample that ended the run has told its breach before. */
  causeOfEnd(): null {
    return null;
  }

  usage(): TaskUsage | null {
    return this.#usage;
  }

  account(): RunAccount {
    return {
      peakMemBytes: this.#peak,
      cpuSeconds: Math.round(this.#cpuTotalMs) / 1000,
      throttledSeconds: 0,
      oomKills: 0,
    };
  }

  /** Milliseconds in which the limits want to be thought of again; null: there is nothing to hold. */
  get pollMs(): number | null {
    const { memBytes, pids, cpu, onCpu, pollInterval } = this.#limits;
    if (memBytes !== null || pids !== null) return pollInterval * 1000;
    return cpu !== null && onCpu !== 'throttle' ? CPU_SAMPLE_MS : null;
  }

  /** When it is sampled for people at the latest. */
  get shownAt(): number {
    return this.#shownAt;
  }

  /** Whether a sample is due for people, or for an average. */
  isDue(now: number): boolean {
    const { cpu, onCpu } = this.#limits;
    const averaged = cpu !== null && onCpu !== 'throttle' && now - this.#sampledAt >= CPU_SAMPLE_MS - 5;
    return averaged || now >= this.#shownAt || (this.#limits.measure && this.#sampledAt === 0);
  }

  /**
   * Whether it could have broken a limit since it was last looked at: it cannot have grown by more memory than the whole host
   * has handed out since, and has no more processes than were found.
   */
  isSuspect(now: number, allocated: number): boolean {
    if (!this.#isLimited) return false;
    const { memBytes, pollInterval } = this.#limits;
    if (now - this.#glancedAt < pollInterval * 1000 - 5) return false;
    if (this.#grown) return true;
    if (memBytes === null) return false;
    return !(allocated - this.#allocatedAt < this.#nextThreshold(memBytes) - this.#glancedBytes - COUNT_SLACK_BYTES);
  }

  /** A quick look at its processes; true: something is to be measured and judged. */
  glance(members: readonly ProcessInfo[], now: number, allocated: number): boolean {
    let bytes = 0;
    for (const info of members) bytes += info.rssBytes;
    this.#glancedAt = now;
    this.#glancedBytes = bytes;
    this.#allocatedAt = allocated;
    this.#grown = false;
    const { memBytes, pids } = this.#limits;
    return (memBytes !== null && bytes >= this.#nextThreshold(memBytes)) || (pids !== null && members.length > pids);
  }

  /** Whether nothing of it has run since the last sample: then that still holds, and it need not be measured again. */
  isUnchanged(members: readonly ProcessInfo[], now: number): boolean {
    const { cpu, onCpu } = this.#limits;
    const usage = this.#usage;
    // An average goes down only when it is taken.
    if (cpu !== null && onCpu !== 'throttle') return false;
    if (!usage || members.length !== usage.processes || ticksOf(members) !== this.#ticks) return false;
    if (now - this.#sampledAt >= 2 * TICK_MS) {
      this.#usage = { ...usage, cpu: 0 };
      this.#sampledAt = now;
    }
    this.#shownLater(now, Math.min(this.#pauseMs * 2, this.#options.idleMs * LONGEST_PAUSE));
    return true;
  }

  #shownLater(now: number, pauseMs: number): void {
    this.#pauseMs = pauseMs;
    if (this.#limits.measure) this.#shownAt = now + pauseMs;
  }

  take(members: readonly ProcessInfo[], stats: Stats, now: number): void {
    const { memBytes, processes, usedMs } = this.#sum(members, stats);
    const seconds = (now - this.#sampledAt) / 1000;
    const cpu = this.#sampledAt === 0 || seconds <= 0 ? 0 : usedMs / 1000 / seconds;
    this.#cpuTotalMs += usedMs;
    this.#sampledAt = now;
    this.#peak = Math.max(this.#peak, memBytes);
    if (this.#limits.measure && now - this.#diskAt >= DISK_SAMPLE_MS) this.#takeDisk(members, now);
    const { readBytes = null, writtenBytes = null } = this.#disk ?? {};
    this.#usage = {
      cpu: Math.round(cpu * 1000) / 1000,
      memBytes,
      processes,
      throttledSeconds: 0,
      readBytes,
      writtenBytes,
    };
    this.#ticks = ticksOf(members);
    this.#shownLater(now, this.#options.idleMs);
    if (!this.#released) this.#judge(memBytes, processes, now);
  }

  /** An ended process takes its counters along, unless its parent waited for it: what was counted stays. */
  #takeDisk(members: readonly ProcessInfo[], now: number): void {
    this.#diskAt = now;
    const disk = diskBytesOf(members.map((info) => info.pid));
    if (!disk) return;
    this.#disk = {
      readBytes: Math.max(this.#disk?.readBytes ?? 0, disk.readBytes),
      writtenBytes: Math.max(this.#disk?.writtenBytes ?? 0, disk.writtenBytes),
    };
  }

  signal(signal: NodeJS.Signals): void {
    this.#options.index.refresh();
    for (const info of this.#living()) send(info.pid, signal);
  }

  async kill(deadlineMs: number): Promise<void> {
    const { clock, index } = this.#options;
    const deadline = clock.monotonic() + deadlineMs;
    // One empty look proves nothing: a child that calls setsid and exec, whose parent has gone, bears no mark for a moment.
    for (let emptyLooks = 0; ; ) {
      index.refresh();
      const members = this.#living();
      if (members.length === 0) {
        const certainty = clock.monotonic() < deadline ? index.certainty() : 'sure';
        if (certainty === 'sure' || (certainty === 'soon' && ++emptyLooks >= EMPTY_LOOKS)) return;
        await new Promise<void>((resolve) => clock.timer(LOOK_AGAIN_MS, resolve));
        continue;
      }
      emptyLooks = 0;
      // Stopped first, so that a fork bomb cannot outrun the list; then killed.
      if (members.length > 1) for (const info of members) send(info.pid, 'SIGSTOP');
      for (const info of members) send(info.pid, 'SIGKILL');
      if (clock.monotonic() > deadline) {
        const pids = members.map((info) => info.pid).join(', ');
        throw new CerebroError(
          'timeout',
          `${members.length} processes of ${this.#run.task} survive SIGKILL (${pids}); they wait on a device or a network disk`,
        );
      }
      await new Promise<void>((resolve) => clock.timer(5, resolve));
    }
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#listener = null;
    this.#options.removed(this);
    this.#options.index.remove(this);
  }

  #living(): ProcessInfo[] {
    return this.#options.index.members(this);
  }

  #sum(members: readonly ProcessInfo[], stats: Stats): { memBytes: number; processes: number; usedMs: number } {
    const sum = { memBytes: 0, processes: 0, usedMs: 0 };
    const here = new Set<string>();
    for (const info of members) {
      const stat = stats[info.pid];
      if (!stat) continue;
      const key = `${info.pid}:${info.startTime}`;
      here.add(key);
      sum.memBytes += stat.memory;
      sum.usedMs += Math.max(0, stat.ctime - (this.#cpuMs.get(key) ?? 0));
      sum.processes += 1;
      this.#cpuMs.set(key, stat.ctime);
    }
    for (const key of this.#cpuMs.keys()) if (!here.has(key)) this.#cpuMs.delete(key);
    return sum;
  }

  #nextThreshold(limit: number): number {
    const { memWarnBytes } = this.#limits;
    return memWarnBytes === null || this.#warned.has('mem') ? limit : Math.min(limit, memWarnBytes);
  }

  #judge(memBytes: number, processes: number, now: number): void {
    const { memBytes: memLimit, memWarnBytes, pids, cpu, onCpu } = this.#limits;
    if (memLimit !== null && memBytes > memLimit) {
      this.#breach('mem', `mem: ${mb(memBytes)} of ${mb(memLimit)} MB in use (peak ${mb(this.#peak)} MB)`);
    } else if (memLimit !== null && memWarnBytes !== null) {
      const near = memBytes >= memWarnBytes;
      const share = Math.round((memBytes / memLimit) * 100);
      if (near) this.#warn('mem', `mem: ${mb(memBytes)} of ${mb(memLimit)} MB in use (${share} %)`);
      else if (memBytes < memWarnBytes * WARNING_OVER) this.#calm('mem');
    }
    if (pids !== null && processes > pids)
      this.#breach('pids', `pids: ${processes} processes, at most ${pids} are allowed`);
    if (cpu !== null && onCpu !== 'throttle') this.#judgeCpu(cpu, now);
  }

  #judgeCpu(limit: number, now: number): void {
    this.#window.add(now, this.#cpuTotalMs / 1000);
    const average = (this.#window.average() ?? 0).toFixed(2);
    const sentence = `cpu: ${average} of ${limit} cores on average over ${CPU_WINDOW_S} s`;
    if (!this.#window.isOver(limit)) this.#calm('cpu');
    else if (this.#limits.onCpu === 'restart') this.#breach('cpu', sentence);
    else this.#warn('cpu', sentence);
  }

  #breach(limit: Breach['limit'], sentence: string): void {
    if (this.#breached) return;
    this.#breached = true;
    this.#listener?.onBreach({ limit, sentence });
  }

  #warn(limit: Breach['limit'], sentence: string): void {
    if (this.#warned.has(limit)) return;
    this.#warned.add(limit);
    this.#listener?.onWarning({ limit, sentence });
  }

  #calm(limit: Breach['limit']): void {
    if (this.#warned.delete(limit)) this.#listener?.onWarning({ limit, sentence: null });
  }
}

function ticksOf(members: readonly ProcessInfo[]): number {
  let ticks = 0;
  for (const info of members) ticks += info.cpuTicks;
  return ticks;
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
