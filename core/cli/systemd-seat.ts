import { execFile } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CerebroError, messageOf } from '../errors.ts';
import type { DaemonSeat } from './daemon-seat.ts';
import type { Release } from './release.ts';
import type { RunningDaemon } from './running-daemon.ts';
import { TASKS_UNIT, UNIT_MARK } from './service-units.ts';

const ORDER_MS = 120_000;
/** As many starts of systemd's own within one upgrade are no accident. */
const HOPELESS_STARTS = 3;

const execute = promisify(execFile);

/** A daemon that systemd starts, and starts again whenever it ends. The new program goes into its units by its own `install-service`. */
export class SystemdSeat implements DaemonSeat {
  readonly name: string;
  readonly #daemon: RunningDaemon;
  readonly #unit: string;
  readonly #user: boolean;
  readonly #path: string;
  /** The text of our unit files before, by path; empty: they are not ours, and stay as they are. */
  readonly #before = new Map<string, string>();
  #startsBefore = 0;

  private constructor(daemon: RunningDaemon, unit: string, user: boolean, path: string) {
    this.#daemon = daemon;
    this.#unit = unit;
    this.#user = user;
    this.#path = path;
    this.name = `the service ${unit}`;
  }

  /** undefined: this daemon is no service's main process. */
  static async of(daemon: RunningDaemon): Promise<SystemdSeat | undefined> {
    const unit = daemon.unitByGroup;
    if (unit === undefined) return undefined;
    for (const user of [false, true]) {
      const shown = await systemctl(user, 'show', '-P', 'MainPID', unit).catch(() => ''); // there is none for this user
      if (Number(shown) !== daemon.file.pid) continue;
      return new SystemdSeat(daemon, unit, user, await systemctl(user, 'show', '-P', 'FragmentPath', unit));
    }
    return undefined;
  }

  async check(release: Release): Promise<void> {
    for (const path of [this.#path, join(dirname(this.#path), TASKS_UNIT)]) {
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      if (text.startsWith(UNIT_MARK)) this.#before.set(path, text);
    }
    if (this.#before.has(this.#path)) return;
    const starts = await this.#systemctl('show', '-P', 'ExecStart', this.#unit);
    if (starts.split(/\s+/).includes(release.main)) return;
    throw new CerebroError(
      'conflict',
      `${this.#path} was not written by "cerebro install-service": name ${release.main} in its ExecStart, call systemctl daemon-reload, and then this again`,
    );
  }

  async put(release: Release, end: () => Promise<void>): Promise<void> {
    try {
      if (this.#before.has(this.#path)) await this.#install(release);
      await this.#systemctl('daemon-reload');
    } catch (error) {
      throw await this.#unitsBack(error);
    }
    await end();
    // systemd may have started it by itself meanwhile: then this is one start more, and no harm.
    await this.#restart();
  }

  async putBack(): Promise<void> {
    await this.#writeBefore();
    // Not by a signal of systemd's choice: with --stop-tasks it would end the tasks.
    await this.#systemctl('kill', '--signal=KILL', this.#unit).catch(() => undefined); // it may have ended by itself
    await this.#restart();
  }

  async pid(): Promise<number | undefined> {
    return Number(await this.#systemctl('show', '-P', 'MainPID', this.#unit)) || undefined;
  }

  async hopeless(): Promise<string | undefined> {
    const starts = (await this.#startsBySystemd()) - this.#startsBefore;
    const state = await this.#systemctl('show', '-P', 'ActiveState', this.#unit);
    if (state === 'failed')
      return `${this.name} has failed (journalctl${this.#user ? ' --user' : ''} -u ${this.#unit})`;
    if (starts < HOPELESS_STARTS) return undefined;
    return `it ended whenever it was started (journalctl${this.#user ? ' --user' : ''} -u ${this.#unit})`;
  }

  /** The units as they were. */
  async #writeBefore(): Promise<void> {
    for (const [path, text] of this.#before) {
      writeFileSync(`${path}.new`, text, { mode: 0o644 });
      renameSync(`${path}.new`, path);
    }
    await this.#systemctl('daemon-reload');
  }

  /** What was written of the new units is taken away, so that the next start of the daemon is still the old program's. Resolves to what to throw. */
  async #unitsBack(error: unknown): Promise<unknown> {
    try {
      await this.#writeBefore();
      return error;
    } catch (second) {
      const sentence = `${messageOf(error)}; nor could its units be put back as they were: ${messageOf(second)}. Call "cerebro install-service" of the version that runs, and systemctl daemon-reload`;
      return new CerebroError('unavailable', sentence, { cause: error });
    }
  }

  async #restart(): Promise<void> {
    await this.#systemctl('restart', this.#unit);
    this.#startsBefore = await this.#startsBySystemd();
  }

  /** How often systemd has started it again by itself, since somebody has set that back. */
  async #startsBySystemd(): Promise<number> {
    return Number(await this.#systemctl('show', '-P', 'NRestarts', this.#unit));
  }

  async #install(release: Release): Promise<void> {
    const flags = without(this.#daemon.flags, ['--tasks-group', ...(this.#stateIsSystemds ? ['--data-dir'] : [])]);
    const words = [release.main, ...flags, 'install-service', '--into', dirname(this.#path)];
    try {
      await execute(process.execPath, [...words, ...(this.#user ? ['--user'] : [])], {
        cwd: this.#daemon.launch.cwd,
        timeout: ORDER_MS,
      });
    } catch (error) {
      throw new CerebroError(
        'unavailable',
        `the new program could not write its units into ${dirname(this.#path)}: ${lastLineOf(error)}`,
      );
    }
  }

  /** Whether the unit leaves it to systemd where the data are. */
  get #stateIsSystemds(): boolean {
    return /^StateDirectory=/m.test(this.#before.get(this.#path) ?? '');
  }

  #systemctl(...words: string[]): Promise<string> {
    return systemctl(this.#user, ...words);
  }
}

async function systemctl(user: boolean, ...words: string[]): Promise<string> {
  try {
    const { stdout } = await execute('systemctl', [...(user ? ['--user'] : []), ...words], { timeout: ORDER_MS });
    return stdout.trim();
  } catch (error) {
    throw new CerebroError('unavailable', `systemctl ${words.join(' ')}: ${lastLineOf(error)}`);
  }
}

function lastLineOf(error: unknown): string {
  const said = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : '';
  return said === '' ? messageOf(error) : (said.split('\n').at(-1) ?? said);
}

/** Takes flags out, each with its value. */
function without(flags: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < flags.length; i++) {
    const word = flags[i] ?? '';
    if (names.includes(word)) i += 1;
    else if (!names.some((name) => word.startsWith(`${name}=`))) kept.push(word);
  }
  return kept;
}
