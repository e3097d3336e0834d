import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { ProcessId, ProcessInfo, ProcessTable } from '../../contracts/process-table.ts';
import { CerebroError, systemCode } from '../../errors.ts';
import { Shim } from './shim.ts';
import { type LaunchedShim, ShimLauncher } from './shim-launcher.ts';
import { LAUNCHER_SCRIPT, SHIM_FILE, SHIM_SCRIPT } from './shim-script.ts';
import { ShimWatch } from './shim-watch.ts';
import { SAME_STANDING, type TasksStanding } from './standing.ts';
import { Turns } from './turns.ts';

/** Shims that wait for an order: a restart then does not wait for a process to be started. */
const SPARES = 4;
/** Spares are replaced a little later: first comes the run that took one. */
const REFILL_MS = 50;

export interface ShimsOptions {
  /** Where the scripts and the pipes are put; a path without a line break. */
  folder: string;
  /** The environment of the shims; a task's own comes with its order. */
  env: Record<string, string>;
  clock: Clock;
  processes: ProcessTable;
  /** How the kernel is to treat tasks, where not like the daemon; asked for whenever something is started for one. */
  standing?: () => TasksStanding;
  /** How many are kept in hand. */
  spares?: number;
  /** Whether tasks may write to the daemon's own standard output and error. */
  ownStreams?: boolean;
}

/** Starts shims by a launcher, keeps some in hand, and notices when one is killed. */
export class Shims {
  readonly #options: ShimsOptions;
  readonly #pipes: string;
  readonly #watch: ShimWatch;
  readonly #spares: Promise<Shim>[] = [];
  /** The last one starts shims; of those before there are shims to hear of. */
  #launchers: ShimLauncher[] = [];
  readonly #turns = new Turns();
  #refill: Timer | null = null;
  #stopped = true;

  constructor(options: ShimsOptions) {
    if (options.folder.includes('\n'))
      throw new CerebroError(
        'invalid',
        `the data folder ${JSON.stringify(options.folder)} has a line break in its name`,
      );
    this.#options = options;
    this.#pipes = join(options.folder, 'shims');
    this.#watch = new ShimWatch(options.clock, options.processes);
  }

  /** Puts the scripts into the folder, where running shims of an older one are not disturbed by it. */
  start(): void {
    this.#stopped = false;
    makeFolder(this.#pipes);
    putScript(this.#scripts.launcher, LAUNCHER_SCRIPT);
    putScript(this.#scripts.shim, SHIM_SCRIPT);
    this.#launcher();
    this.#fillSoon();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#refill?.cancel();
    this.#refill = null;
    this.#watch.stop();
    this.#spares.splice(0);
    await Promise.all(this.#launchers.splice(0).map((launcher) => launcher.stop()));
  }

  /** What whatever is started for a task is to have. */
  get standing(): TasksStanding {
    return this.#options.standing?.() ?? SAME_STANDING;
  }

  /** A shim that waits for its order; one in each turn of the event loop. Throws `unavailable` when the system cannot start one. */
  async take(): Promise<Shim> {
    this.#fillSoon();
    const shim = await this.#inHand();
    await this.#turns.next();
    return shim;
  }

  async #inHand(): Promise<Shim> {
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      const shim = await spare.catch(() => null); // one that came to nothing is passed over
      if (shim?.waits) return shim;
      shim?.discard();
    }
    return this.#launch();
  }

  /** Calls back once when a shim, of this daemon or of an earlier one, is gone without a word; whoever watches cancels it. */
  watch(shim: ProcessId, onGone: () => void): Timer {
    return this.#watch.watch(shim, onGone);
  }

  get #scripts(): { launcher: string; shim: string } {
    const { folder } = this.#options;
    return { launcher: join(folder, 'launcher.sh'), shim: join(folder, SHIM_FILE) };
  }

  #fillSoon(): void {
    const wanted = this.#options.spares ?? SPARES;
    if (this.#stopped || wanted === 0) return;
    this.#refill ??= this.#options.clock.timer(REFILL_MS, () => {
      this.#refill = null;
      while (this.#spares.length < wanted) {
        const spare = this.#launch();
        spare.catch(() => undefined); // it is told to who takes it
        this.#spares.push(spare);
      }
    });
  }

  async #launch(): Promise<Shim> {
    const { processes } = this.#options;
    const launched = await this.#launched();
    const leader = processes.parse(launched.stat);
    const self = leader && processes.read(leader.ppid);
    if (leader && self) {
      const shim = new Shim(launched, { self: idOf(self), leader: idOf(leader) }, processes, this.standing.oomScore);
      if (this.#isOurs(self)) return shim;
      shim.abandon();
    } else {
      launched.lost();
    }
    throw new CerebroError('unavailable', 'the shim of a task ended before it began');
  }

  /**
   * Whether the parent of a task's side is its shim. Of one that was killed at this moment it is whoever took the orphan in: init, or
   * another reaper that was there before us, or we; and none of them would ever tell how the task ends.
   */
  #isOurs({ pid, startTime }: ProcessInfo): boolean {
    const own = this.#options.processes.read(process.pid);
    return own !== undefined && pid !== process.pid && startTime >= own.startTime;
  }

  async #launched(): Promise<LaunchedShim> {
    const launcher = this.#launcher();
    try {
      return await launcher.launch();
    } catch (error) {
      // One that has worked and was killed is replaced; what never worked will not now.
      if (this.#stopped || !launcher.failed || !launcher.hasWorked) throw error;
      return this.#launcher().launch();
    }
  }

  #launcher(): ShimLauncher {
    const last = this.#launchers.at(-1);
    if (last && !last.failed) return last;
    const { env, clock, ownStreams = false } = this.#options;
    makeFolder(this.#pipes); // somebody may have taken it away
    const launcher = new ShimLauncher({
      scripts: this.#scripts,
      folder: this.#pipes,
      env,
      clock,
      ownStreams,
      nice: this.standing.nice,
    });
    for (const old of this.#launchers) if (old.done) old.close();
    this.#launchers = [...this.#launchers.filter(({ done }) => !done), launcher];
    return launcher;
  }
}

/** Never with the data folder itself: where that is gone, it is to stay gone. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

function putScript(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  writeFileSync(`${path}.new`, text, { mode: 0o755 });
  renameSync(`${path}.new`, path);
}

function idOf({ pid, startTime }: ProcessId): ProcessId {
  return { pid, startTime };
}
