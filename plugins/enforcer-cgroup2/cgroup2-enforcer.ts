import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Enclosure, LimitEnforcer, Limits, RunIdentity } from '../../core/contracts/limit-enforcer.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { ProcessTable } from '../../core/contracts/process-table.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { LimitHolds } from '../../core/model/task.ts';
import type { IoLimit } from '../../core/model/task-configuration.ts';
import { Cgroup } from './cgroup.ts';
import { Cgroup2Enclosure } from './cgroup2-enclosure.ts';
import { findSubtree } from './find-subtree.ts';
import type { Config } from './schema.ts';

interface Services {
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  dataDir: string;
  /** Where tasks are to live, if that was said; the plugin's own `root` wins. */
  tasksGroup?: string;
}

/** The kernel takes no quota below 1 ms; the usual period is 100 ms, and 1 s is the longest. */
const LEAST_QUOTA_US = 1000;
const PERIOD_US = 100_000;
const LONGEST_PERIOD_US = 1_000_000;
/** How often runs are looked at that have something to be looked at for: an average, or a warning that may be over. */
const LOOK_MS = 1000;
/** What was made and never used (a crash came between) is removed so long after the start: until then it may be asked for. */
const SWEEP_AFTER_MS = 60_000;

/**
 * Limits by the kernel: a group of cgroup v2 for each run, under one group for each daemon. A run is inside before its first
 * instruction, whatever it forks is inside too, and so no sampling is needed: the kernel throttles, kills and tells.
 */
export class Cgroup2Enforcer implements LimitEnforcer {
  readonly name = 'cgroup2';
  readonly adoptsAny = false;
  readonly #services: Services;
  readonly #config: Config;
  readonly #runs = new Set<Cgroup2Enclosure>();
  #holds: LimitHolds = { cpu: 'hard', mem: 'hard', pids: 'hard', io: 'hard' };
  #group: Cgroup | null = null;
  #looks: Timer | null = null;
  #sweep: Timer | null = null;

  constructor(services: Services, config: Config) {
    this.#services = services;
    const root = config.root ?? (services.tasksGroup || undefined);
    this.#config = { ...config, ...(root !== undefined && { root }) };
  }

  get holds(): LimitHolds {
    return this.#holds;
  }

  async probe(): Promise<{ works: true } | { works: false; sentence: string }> {
    const subtree = findSubtree(this.#config);
    return subtree.works ? { works: true } : subtree;
  }

  async start(): Promise<void> {
    const subtree = findSubtree(this.#config);
    if (!subtree.works) throw new CerebroError('unsupported', subtree.sentence);
    const { base, leaf, controllers } = subtree;
    // Daemons may share a base (several machines on one host): each has its own group, the same after every restart.
    const tag = createHash('sha256').update(this.#services.dataDir).digest('hex').slice(0, 12);
    const group = new Cgroup(join(base.path, `cerebro-${tag}`));
    // All in one write: with processes inside, cpu and pids alone would be taken, and make the group a threaded one.
    const handOn = controllers.map((name) => `+${name}`).join(' ');
    try {
      if (leaf) {
        leaf.make();
        leaf.write('cgroup.procs', process.pid);
      }
      base.write('cgroup.subtree_control', handOn);
      group.make();
      group.write('cgroup.subtree_control', handOn);
    } catch (error) {
      throw new CerebroError('unsupported', `cgroup v2 cannot be arranged under ${base.path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    this.#holds = { cpu: 'hard', mem: 'hard', pids: 'hard', io: controllers.includes('io') ? 'hard' : 'none' };
    this.#group = group;
    this.#sweep = this.#services.clock.timer(SWEEP_AFTER_MS, () => this.#sweepUnused());
    this.#scheduleLooks();
  }

  async stop(): Promise<void> {
    this.#looks?.cancel();
    this.#sweep?.cancel();
    this.#looks = null;
    this.#sweep = null;
    for (const run of [...this.#runs]) await run.release();
    this.#runs.clear();
    this.#group = null;
  }

  async enclose(run: RunIdentity, limits: Limits): Promise<Enclosure> {
    if (!this.#group) throw new CerebroError('unavailable', 'the cgroup2 enforcer is not started');
    const handle = run.adopted?.enforcer === this.name ? run.adopted.handle : null;
    const group = new Cgroup(handle ?? join(this.#group.path, `run-${run.marker}`));
    // A run that is taken up again has its group, unless the host was booted since; then there is nothing to hold.
    if (!run.adopted) this.#build(group, run.task, limits);
    const enclosure = new Cgroup2Enclosure(group, run, limits, {
      holds: this.#holds,
      clock: this.#services.clock,
      logger: this.#services.logger,
      processes: this.#services.processes,
      released: (released) => this.#runs.delete(released),
    });
    this.#runs.add(enclosure);
    return enclosure;
  }

  #build(group: Cgroup, task: string, limits: Limits): void {
    const { cpu, onCpu, memBytes, memWarnBytes, pids, swap, io } = limits;
    const set = (file: string, value: string | number): void => {
      try {
        group.write(file, value);
      } catch (error) {
        throw new CerebroError('unsupported', `${file} of ${task} cannot be set to "${value}": ${messageOf(error)}`, {
          cause: error,
        });
      }
    };
    try {
      group.make();
      if (cpu !== null && onCpu === 'throttle') set('cpu.max', cpuMax(cpu));
      if (memBytes !== null) {
        set('memory.max', memBytes);
        // The run is ended whole: half a program is worse than none.
        set('memory.oom.group', 1);
        // Where there is no swap there is no such file.
        if (!swap) group.tryWrite('memory.swap.max', 0);
        if (memWarnBytes !== null) set('memory.high', memWarnBytes);
      }
      if (pids !== null) set('pids.max', pids);
      if (this.#holds.io === 'hard') for (const limit of io) set('io.max', ioMax(limit));
    } catch (error) {
      group.remove();
      throw error;
    }
  }

  #scheduleLooks(): void {
    this.#looks = this.#services.clock.timer(LOOK_MS, () => {
      for (const run of this.#runs) if (run.wantsLooks) run.look();
      this.#scheduleLooks();
    });
  }

  #sweepUnused(): void {
    const mine = new Set([...this.#runs].map((run) => run.handle));
    for (const group of this.#group?.children() ?? []) if (!mine.has(group.path) && !group.isPopulated) group.remove();
  }
}

/** `QUOTA PERIOD` in µs. Small shares take a longer period, so that the quota is not below what the kernel takes. */
export function cpuMax(cores: number): string {
  const period = Math.min(LONGEST_PERIOD_US, Math.max(PERIOD_US, Math.ceil(LEAST_QUOTA_US / cores)));
  return `${Math.max(LEAST_QUOTA_US, Math.round(cores * period))} ${period}`;
}

function ioMax({ device, rbps, wbps }: IoLimit): string {
  const parts = [deviceNumbers(device)];
  if (rbps !== undefined) parts.push(`rbps=${rbps}`);
  if (wbps !== undefined) parts.push(`wbps=${wbps}`);
  return parts.join(' ');
}

/** `MAJOR:MINOR` of a device file; the bits are those of makedev(3). */
function deviceNumbers(device: string): string {
  if (!device.startsWith('/')) return device;
  let rdev: bigint;
  try {
    const stat = statSync(device, { bigint: true });
    if (!stat.isBlockDevice()) throw new Error('it is no block device');
    rdev = stat.rdev;
  } catch (error) {
    throw new CerebroError('invalid', `limits.io: the device ${device} cannot be limited: ${messageOf(error)}`);
  }
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}
