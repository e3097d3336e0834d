import { type FSWatcher, statSync, watch } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import { type LogCut, nextCut, nextLookMs } from '../../decide/task/log-trim.ts';
import { messageOf } from '../../errors.ts';
import type { LogCondition, LogMethod } from '../../model/task.ts';
import type { LogPlace } from '../records/log-place.ts';
import { blockSize, probeLogMethod } from './log-cut.ts';
import { RunLog } from './run-log.ts';

/** How often it is looked whether the disks under the logs are full. */
const DISK_LOOK_MS = 1000;
/** How often a log at rest is looked at that cannot be watched. */
const UNWATCHED_MS = 5000;
/** A disk with less than this is as good as full: the next lines of a task would be refused. */
const FULL_BELOW_BYTES = 512 * 1024;
/** … and with this much it is not any more. */
const FREE_ABOVE_BYTES = 2 * FULL_BELOW_BYTES;
/** On a full disk each log gives up half of what it has, as long as that is more than this. */
const LEAST_ON_FULL_DISK = 1024 * 1024;

/** Holds the logs of one run to their size for as long as it runs. */
export interface KeptLogs {
  readonly condition: LogCondition;
  /** The run goes on without us. */
  letGo(): void;
  /** The run is over; resolves when nothing is done to its logs any more. */
  end(): Promise<void>;
}

interface Kept {
  log: RunLog;
  max: number;
  method: LogMethod;
  block: number;
  device: number;
  dueAt: number;
  size: number;
  lookedAt: number;
  busy: boolean;
  /** A log at rest is not looked at: this tells when it grows again. */
  bell: FSWatcher | null;
}

function mostOnFullDisk({ log, max }: Kept): number {
  const size = (log.end() ?? 0) - log.start;
  return Math.min(max, Math.max(LEAST_ON_FULL_DISK, size - 1));
}

interface Disk {
  full: boolean;
  fullSince: string | null;
}

/**
 * Keeps the logs of all running tasks at their size, by taking off their heads while the tasks write on. One timer for all, at
 * the time of the one that may be too large first.
 */
export class LogKeeper {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onDiskFull: (sentence: string) => void;
  readonly #logs = new Map<string, RunLog>();
  readonly #kept = new Set<Kept>();
  readonly #disks = new Map<number, Disk>();
  readonly #methods = new Map<number, Promise<LogMethod | undefined>>();
  readonly #work = new Set<Promise<void>>();
  #timer: Timer | null = null;
  #timerAt = 0;
  #diskTimer: Timer | null = null;
  #stopped = false;

  constructor(options: { clock: Clock; logger: Logger; onDiskFull: (sentence: string) => void }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onDiskFull = options.onDiskFull;
  }

  /** Lets go of all logs; a cut that was begun is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#diskTimer?.cancel();
    this.#timer = null;
    this.#diskTimer = null;
    for (const kept of this.#kept) kept.bell?.close();
    this.#kept.clear();
    await Promise.all(this.#work);
  }

  /** The log at a place: the same object for everybody who reads or cuts it, as long as it is kept. */
  log({ path, positionPath }: LogPlace): RunLog {
    return this.#logs.get(path) ?? new RunLog(path, positionPath);
  }

  /** Holds the logs of a run to `maxBytes` each. */
  keep(places: readonly LogPlace[], maxBytes: number): KeptLogs {
    const mine: Kept[] = [];
    let stopped = false;
    // At once: a reader who came before the first look would have a log of his own, and not hear of what is cut off.
    const logs = places.map((place) => this.log(place));
    for (const log of logs) this.#logs.set(log.path, log);
    const begin = async (): Promise<void> => {
      for (const place of places) {
        const kept = await this.#begin(place, maxBytes);
        mine.push(kept);
        if (stopped || this.#stopped) continue;
        this.#kept.add(kept);
      }
      this.#schedule();
      this.#watchDisks();
    };
    const begun = begin();
    this.#track(begun);
    const condition = (): LogCondition => this.#conditionOf(mine);
    const stop = (): void => {
      stopped = true;
      for (const kept of mine) {
        this.#kept.delete(kept);
        kept.bell?.close();
        kept.bell = null;
      }
    };
    const forget = (): void => {
      for (const log of logs) if (this.#logs.get(log.path) === log) this.#logs.delete(log.path);
    };
    return {
      get condition() {
        return condition();
      },
      letGo: () => {
        stop();
        forget();
      },
      end: async () => {
        stop();
        // Until then who reads them hears of what is cut off. Of a run that ended while no daemon was there this is all there is to do.
        const closed = begun.then(
          () => this.#closeHoles(mine),
          () => undefined, // it could not be looked at; that was said
        );
        await closed.finally(forget);
      },
    };
  }

  async #begin(place: LogPlace, max: number): Promise<Kept> {
    const log = this.log(place);
    const device = statSync(dirname(place.path)).dev;
    const method = await this.#methodFor(device, dirname(place.path));
    const block = await blockSize(dirname(place.path));
    const now = this.#clock.monotonic();
    const size = (log.end() ?? 0) - log.start;
    return { log, max, method, block, device, dueAt: now, size, lookedAt: now, busy: false, bell: null };
  }

  async #methodFor(device: number, folder: string): Promise<LogMethod> {
    const asked = this.#methods.get(device) ?? probeLogMethod(folder);
    this.#methods.set(device, asked);
    const method = await asked;
    if (method !== undefined) return method;
    // The disk is full: it is asked again for the next run. Until then holes, which nearly every file system can make and which need no room.
    this.#methods.delete(device);
    return 'punch';
  }

  #conditionOf(mine: readonly Kept[]): LogCondition {
    const sum = (amount: (kept: Kept) => number): number => mine.reduce((total, kept) => total + amount(kept), 0);
    const disk = mine.map(({ device }) => this.#disks.get(device)).find((disk) => disk?.full);
    return {
      method: mine[0]?.method ?? 'none',
      trimmedBytes: sum(({ log }) => log.start),
      lostBytes: sum(({ log }) => log.lost),
      diskFullSince: disk?.fullSince ?? null,
    };
  }

  #schedule(): void {
    if (this.#stopped) return;
    const now = this.#clock.monotonic();
    let at = Number.POSITIVE_INFINITY;
    for (const kept of this.#kept) if (!kept.busy) at = Math.min(at, kept.dueAt);
    if (at === Number.POSITIVE_INFINITY || (this.#timer && this.#timerAt <= at)) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.timer(Math.max(5, at - now), () => {
      this.#timer = null;
      const from = this.#clock.monotonic();
      for (const kept of this.#kept) if (!kept.busy && kept.dueAt <= from + 5) this.#look(kept, kept.max);
      this.#schedule();
    });
  }

  /** Looks at one log, and cuts it when it is over `max`. */
  #look(kept: Kept, max: number): void {
    const now = this.#clock.monotonic();
    const size = (kept.log.end() ?? 0) - kept.log.start;
    const pause = nextLookMs(size, kept.max, size - kept.size, now - kept.lookedAt);
    const growth = { grownBytes: size - kept.size, elapsedMs: now - kept.lookedAt };
    const cut = nextCut({ method: kept.method, size, max, holeBytes: kept.log.holeBytes, ...growth }, kept.block);
    kept.dueAt = pause === null ? Number.POSITIVE_INFINITY : now + pause;
    if (pause === null) this.#rest(kept);
    kept.size = size;
    kept.lookedAt = now;
    if (cut === null) return;
    kept.busy = true;
    this.#track(
      this.#cut(kept, cut).finally(() => {
        kept.busy = false;
        kept.size = (kept.log.end() ?? 0) - kept.log.start;
        kept.lookedAt = this.#clock.monotonic();
        kept.dueAt = kept.lookedAt;
        this.#schedule();
      }),
    );
  }

  #rest(kept: Kept): void {
    const wake = (): void => {
      kept.bell?.close();
      kept.bell = null;
      kept.lookedAt = this.#clock.monotonic();
      kept.dueAt = kept.lookedAt;
      this.#schedule();
    };
    try {
      if (kept.bell === null) {
        kept.bell = watch(kept.log.path, wake);
        kept.bell.on('error', wake);
      }
      // It may have grown between the look and the watch.
      if ((kept.log.end() ?? 0) - kept.log.start !== kept.size) wake();
    } catch {
      kept.dueAt = kept.lookedAt + UNWATCHED_MS; // the host's watches are spent, or the file is gone
    }
  }

  async #closeHoles(all: readonly Kept[]): Promise<void> {
    for (const kept of all)
      if (kept.method === 'collapse' && kept.log.end() !== undefined)
        await this.#cut(kept, { method: 'collapse', bytes: 0 });
  }

  async #cut(kept: Kept, { method, bytes }: LogCut): Promise<void> {
    try {
      await kept.log.cut(bytes, method);
    } catch (error) {
      this.#logger.warn({ err: error, log: kept.log.path }, `a log could not be cut: ${messageOf(error)}`);
      // What the probe found out holds no longer for this file: the next best way is tried.
      if (kept.method !== 'copytruncate') kept.method = kept.method === 'collapse' ? 'punch' : 'copytruncate';
    }
  }

  #watchDisks(): void {
    if (this.#diskTimer || this.#stopped || this.#kept.size === 0) return;
    this.#diskTimer = this.#clock.timer(DISK_LOOK_MS, () => {
      this.#diskTimer = null;
      this.#track(this.#lookAtDisks().finally(() => this.#watchDisks()));
    });
  }

  async #lookAtDisks(): Promise<void> {
    const folders = new Map<number, string>();
    for (const { device, log } of this.#kept) if (!folders.has(device)) folders.set(device, dirname(log.path));
    for (const [device, folder] of folders) {
      const { bavail, bsize } = await statfs(folder);
      const free = bavail * bsize;
      const disk = this.#disks.get(device) ?? { full: false, fullSince: null };
      this.#disks.set(device, disk);
      if (free < FULL_BELOW_BYTES && !disk.full) {
        disk.full = true;
        disk.fullSince = new Date(this.#clock.now()).toISOString();
        this.#onDiskFull(
          `the disk under ${folder} is full; old lines of the logs there are cut off to make room, and what does not fit is lost`,
        );
      } else if (free > FREE_ABOVE_BYTES) {
        disk.full = false;
        disk.fullSince = null;
      }
      if (!disk.full) continue;
      for (const kept of this.#kept) if (kept.device === device && !kept.busy) this.#look(kept, mostOnFullDisk(kept));
    }
  }

  #track(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'logs could not be looked at'))
      .finally(() => this.#work.delete(done));
    this.#work.add(done);
  }
}
