import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import { type TaskReading, taskReading, taskVitalsOf } from '../decide/task/task-vitals.ts';
import type { Values } from '../decide/vitals/history-ring.ts';
import { type HostReading, hostVitalsBetween } from '../decide/vitals/host-vitals.ts';
import { MinuteOfHistory } from '../decide/vitals/minute-of-history.ts';
import { systemCode } from '../errors.ts';
import {
  HISTORY_SPANS,
  type History,
  type HistorySpan,
  MACHINE_SERIES,
  MACHINE_SUBJECT,
  TASK_SERIES,
  taskOfSubject,
} from '../model/history.ts';
import type { TaskPhase, TaskStatus } from '../model/task.ts';
import type { HostVitals, MachineVitals, TaskVitals } from '../model/vitals.ts';
import type { MachineSitter } from './machine-sitter.ts';
import { readHost } from './read-host.ts';
import { HistoryFile } from './records/history-file.ts';
import { taskFolderName } from './records/task-files.ts';

const STEP_MS = HISTORY_SPANS.hour.stepSeconds * 1000;
/** Samples are taken so long after the beginning of a slot: a timer may be early, and then there would be two. */
const AFTER_MS = 50;
/** Who asks sooner than this after a sample is told that sample: a shorter time says little. */
const FRESH_MS = 1000;
/** With more tasks than these, the points of each are put down a minute at a time: a write for each every five seconds costs more than all else of a machine at rest. */
const MANY_TASKS = 50;
/** Files that are written in one go. */
const BATCH = 25;
const AT_REST: ReadonlySet<TaskPhase> = new Set(['stopped', 'exited', 'failed']);

export interface VitalsDeps {
  dataDir: string;
  sitter: Pick<MachineSitter, 'tasks' | 'task'>;
  clock: Clock;
  logger: Logger;
}

/** How the machine and each of its tasks are doing: now, and over the last hour and day. Sampled every five seconds. */
export class Vitals {
  readonly #deps: VitalsDeps;
  readonly #machineFile: HistoryFile;
  readonly #listeners = new Set<(vitals: MachineVitals) => void>();
  #timer: Timer | null = null;
  #base: HostReading | null = null;
  #readings = new Map<string, TaskReading>();
  #last: MachineVitals | null = null;
  /** Whether it was told already that history cannot be written. */
  #complained = false;
  /** The points of tasks that are not in their files yet. */
  readonly #unwritten = new Map<string, MinuteOfHistory>();
  /** The next files that a sample is put into. */
  #keeping: NodeJS.Immediate | null = null;

  constructor(deps: VitalsDeps) {
    this.#deps = deps;
    this.#machineFile = new HistoryFile(join(deps.dataDir, 'history'), MACHINE_SERIES);
  }

  async start(): Promise<void> {
    this.#base = this.#readHost();
    this.#readings = readingsOf(this.#deps.sitter.tasks(), this.#base.monotonicMs);
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#keeping) clearImmediate(this.#keeping);
    this.#keeping = null;
    for (const id of [...this.#unwritten.keys()]) this.#writeTask(id);
    this.#listeners.clear();
  }

  /** Now, or a moment ago. */
  now(): MachineVitals {
    const base = this.#base ?? this.#readHost();
    if (this.#last && this.#deps.clock.monotonic() - base.monotonicMs < FRESH_MS) return this.#last;
    const host = this.#readHost();
    const statuses = this.#deps.sitter.tasks();
    return vitalsOf(base, host, statuses, { before: this.#readings, now: readingsOf(statuses, host.monotonicMs) });
  }

  /** Throws `not_found` for a task that is not here. */
  history(of: string, span: HistorySpan): History {
    const task = taskOfSubject(of);
    const now = this.#deps.clock.now();
    if (task === null) return this.#machineFile.history(MACHINE_SUBJECT, span, now);
    const { id } = this.#deps.sitter.task(task);
    this.#writeTask(id);
    return this.#taskFile(id).history(id, span, now);
  }

  /** Calls back with each sample; returns how to stop. */
  onSample(listener: (vitals: MachineVitals) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #arm(): void {
    const left = STEP_MS - (this.#deps.clock.now() % STEP_MS) + AFTER_MS;
    this.#timer = this.#deps.clock.timer(left, () => {
      this.#sample();
      this.#arm();
    });
  }

  #sample(): void {
    const base = this.#base ?? this.#readHost();
    const host = this.#readHost();
    const statuses = this.#deps.sitter.tasks();
    const readings = readingsOf(statuses, host.monotonicMs);
    const vitals = vitalsOf(base, host, statuses, { before: this.#readings, now: readings });
    this.#base = host;
    this.#readings = readings;
    this.#last = vitals;
    this.#keep(host.at, vitals);
    for (const listener of this.#listeners) listener(vitals);
  }

  #readHost(): HostReading {
    const { dataDir, clock } = this.#deps;
    return readHost(dataDir, { now: clock.now(), monotonic: clock.monotonic() });
  }

  /** Some files at a time: with hundreds of tasks, requests are not to wait for all of them. */
  #keep(atMs: number, { host, tasks }: MachineVitals): void {
    // A disk that takes longer than five seconds has gaps in its history, and no queue.
    if (this.#keeping) return;
    this.#report(failureOf(() => this.#machineFile.add(minuteWith(atMs, machinePoint(host)))));
    const living = tasks.filter(({ phase }) => !AT_REST.has(phase));
    for (const task of living) {
      const point = taskPoint(task);
      if (this.#unwritten.get(task.id)?.put(atMs, point)) continue;
      // The rest of a minute of which a point is missing: the clock was set, or nobody came to it.
      this.#writeTask(task.id);
      this.#unwritten.set(task.id, minuteWith(atMs, point));
    }
    const alive = new Set(living.map(({ id }) => id));
    const many = living.length > MANY_TASKS;
    const due: string[] = [];
    for (const [id, minute] of this.#unwritten) if (!many || minute.isOver || !alive.has(id)) due.push(id);
    const batch = (from: number): void => {
      for (const id of due.slice(from, from + BATCH)) this.#writeTask(id);
      this.#keeping = from + BATCH < due.length ? setImmediate(batch, from + BATCH) : null;
    };
    batch(0);
  }

  #writeTask(id: string): void {
    const minute = this.#unwritten.get(id);
    if (!minute) return;
    this.#unwritten.delete(id);
    const failure = failureOf(() => this.#taskFile(id).add(minute));
    // Its folder goes before it is off the list.
    if (systemCode(failure) !== 'ENOENT') this.#report(failure);
  }

  /** Once, not every five seconds. */
  #report(failure: Error | undefined): void {
    if (!failure || this.#complained) return;
    this.#complained = true;
    this.#deps.logger.warn({ err: failure }, 'some history of this machine cannot be written; it will be missing');
  }

  #taskFile(id: string): HistoryFile {
    return new HistoryFile(join(this.#deps.dataDir, 'tasks', taskFolderName(id), 'history'), TASK_SERIES);
  }
}

function readingsOf(statuses: readonly TaskStatus[], monotonicMs: number): Map<string, TaskReading> {
  return new Map(
    statuses.flatMap((status) => {
      const reading = taskReading(status, monotonicMs);
      return reading ? [[status.id, reading] as const] : [];
    }),
  );
}

function vitalsOf(
  base: HostReading,
  host: HostReading,
  statuses: readonly TaskStatus[],
  readings: Record<'before' | 'now', ReadonlyMap<string, TaskReading>>,
): MachineVitals {
  const tasks = statuses.map((status) =>
    taskVitalsOf(status, readings.before.get(status.id), readings.now.get(status.id)),
  );
  return { host: hostVitalsBetween(base, host), tasks };
}

function minuteWith(atMs: number, values: Values): MinuteOfHistory {
  const minute = new MinuteOfHistory(atMs);
  minute.put(atMs, values);
  return minute;
}

/** History that cannot be written (a full disk) is missing later, and nothing else. */
function failureOf(write: () => void): Error | undefined {
  try {
    write();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function machinePoint({ cpu, memory, load, disk, network, pressure }: HostVitals): (number | null)[] {
  const point: Record<(typeof MACHINE_SERIES)[number], number | null> = {
    cpu: cpu.used,
    memBytes: memory.usedBytes,
    load: load.one,
    diskBytes: disk.usedBytes,
    receivedRate: network.receivedRate,
    sentRate: network.sentRate,
    cpuPressure: pressure?.cpu.some ?? null,
    memPressure: pressure?.memory.some ?? null,
    ioPressure: pressure?.io.some ?? null,
  };
  return MACHINE_SERIES.map((name) => point[name]);
}

function taskPoint(task: TaskVitals): (number | null)[] {
  return TASK_SERIES.map((name) => task[name]);
}
