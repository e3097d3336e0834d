import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { DataFolder } from '../engine/data-folder.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { SitterFile } from '../model/sitter-file.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { DaemonSeat } from './daemon-seat.ts';
import { RefusedError } from './refused-error.ts';
import type { Release } from './release.ts';
import type { RunningDaemon } from './running-daemon.ts';

const CHECK_MS = 120_000;
/** A daemon that does not end within this time is killed: its tasks do not need it. */
const END_MS = 60_000;
/** Until the one from before answers again. Whoever waits for it has no other. */
const BACK_MS = 300_000;
const LOOK_MS = 50;

const execute = promisify(execFile);

/** Asks the new program whether it would start with the flags of the old one. Throws what it says; nothing has been changed. */
export async function checkRelease(release: Release, { launch, flags, file }: RunningDaemon): Promise<void> {
  // `up` is a word of its own, and would start something.
  const up = flags.lastIndexOf('up');
  const words = [...flags.filter((_word, i) => i !== up || file.mode === 'machine'), '--mode', file.mode, '--check'];
  try {
    await execute(process.execPath, [release.main, ...words], { cwd: launch.cwd, env: launch.env, timeout: CHECK_MS });
  } catch (error) {
    const said = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new CerebroError(
      'invalid',
      `version ${release.version} would not start with the flags of this daemon, and nothing was changed: ${said || messageOf(error)}`,
    );
  }
}

/** Ends a daemon with its tasks left running; resolves when it is gone. */
export async function endDaemon(daemon: RunningDaemon, client: ClusterClient): Promise<void> {
  try {
    // By word, since what SIGTERM does to tasks is a setting of a machine sitter.
    if (daemon.file.mode === 'machine')
      await client.sendJson('POST', '/api/v1/hand-over', z.object({ done: z.literal(true) }), {});
    else process.kill(daemon.file.pid, 'SIGTERM');
  } catch (error) {
    // A version that does not know the word; where there was no answer, it may be ending, and is waited for below.
    if (error instanceof RefusedError) daemon.kill();
  }
  const begun = performance.now();
  let killed = false;
  while (daemon.isThere) {
    const waited = performance.now() - begun;
    if (waited > END_MS && !killed) {
      killed = true;
      daemon.kill();
    }
    if (waited > 2 * END_MS)
      throw new CerebroError('timeout', `the daemon (pid ${daemon.file.pid}) does not end, not by SIGKILL either`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Waits until what was started in a seat has the data folder and answers. Throws why it does not. */
export async function untilUp(seat: DaemonSeat, folder: DataFolder, deadlineMs: number): Promise<SitterFile> {
  for (const until = performance.now() + deadlineMs; ; ) {
    const holder = folder.holder();
    if (holder && holder.url !== '' && holder.pid === (await seat.pid())) return holder;
    const reason = await seat.hopeless();
    if (reason !== undefined) throw new CerebroError('unavailable', reason);
    if (performance.now() > until) throw new CerebroError('timeout', `it did not answer within ${deadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

export interface Swapped {
  now: SitterFile;
  /** Why the new program was given up and `now` is the old one again; undefined: `now` is the new one. */
  failure: string | undefined;
  /** Milliseconds without a daemon that answers. */
  awayMs: number;
}

/**
 * Puts another program into a seat. One that does not come up is taken out again, and the one from before is started. Where the seat
 * could not take it to begin with, that is thrown, and the daemon was never touched.
 */
export async function swapDaemon(
  seat: DaemonSeat,
  release: Release,
  options: { folder: DataFolder; deadlineMs: number; end: () => Promise<void> },
): Promise<Swapped> {
  const { folder, deadlineMs } = options;
  let begun: number | null = null;
  const end = async (): Promise<void> => {
    begun = performance.now();
    await options.end();
  };
  const awayMs = (): number => performance.now() - (begun ?? performance.now());
  try {
    await seat.put(release, end);
    const now = await untilUp(seat, folder, deadlineMs);
    return { now, failure: undefined, awayMs: awayMs() };
  } catch (error) {
    const failure = messageOf(error);
    if (begun === null)
      throw new CerebroError(
        'unavailable',
        `version ${release.version} could not be put in the place of the daemon, which runs on as it was: ${failure}`,
        { cause: error },
      );
    try {
      await seat.putBack();
      const now = await untilUp(seat, folder, BACK_MS);
      return { now, failure, awayMs: awayMs() };
    } catch (second) {
      throw new CerebroError(
        'unavailable',
        `version ${release.version} did not come up (${failure}), and the one from before could not be started again: ${messageOf(second)}. The tasks run on without a daemon`,
      );
    }
  }
}
