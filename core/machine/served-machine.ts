import { hostname } from 'node:os';
import type { LimitEnforcer } from '../contracts/limit-enforcer.ts';
import type { LogTail, MachineAbout, MachineApi, TaskAction } from '../contracts/machine-api.ts';
import { CerebroError } from '../errors.ts';
import type { MachineCapacity } from '../model/capacity.ts';
import type { ClusterEvent } from '../model/event.ts';
import type { History, HistorySpan } from '../model/history.ts';
import type { RunEnd, TaskStatus } from '../model/task.ts';
import type { TasksReport } from '../model/tasks-report.ts';
import type { MachineVitals } from '../model/vitals.ts';
import { firstOffset, readLog } from './logs/log-file.ts';
import type { MachineSitter } from './machine-sitter.ts';
import type { TasksFile } from './tasks-file.ts';
import type { Vitals } from './vitals.ts';

const MAX_TAIL_BYTES = 256 * 1024;

interface Parts {
  version: string;
  sitter: MachineSitter;
  vitals: Vitals;
  tasksFile: TasksFile;
  enforcer: Pick<LimitEnforcer, 'name' | 'holds'> & { passedOver: readonly string[] };
}

/** The machine sitter and its vitals as one thing, as pages are shown it. */
export class ServedMachine implements MachineApi {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  about(): MachineAbout {
    const { version, enforcer, sitter } = this.#parts;
    const { name, holds, passedOver } = enforcer;
    return { version, hostname: hostname(), enforcer: name, holds, passedOver, damaged: sitter.damaged() };
  }

  vitals(): MachineVitals {
    return this.#parts.vitals.now();
  }

  history(of: string, span: HistorySpan): History {
    return this.#parts.vitals.history(of, span);
  }

  tasks(): TaskStatus[] {
    return this.#parts.sitter.tasks().sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  task(id: string): TaskStatus {
    return this.#parts.sitter.task(id);
  }

  act(id: string, action: TaskAction, by: string): TaskStatus {
    return this.#parts.sitter.act(id, action, by);
  }

  capacity(): MachineCapacity | null {
    return this.#parts.sitter.capacity();
  }

  addTasks(text: string, options: { source: string; start: boolean; by: string }): Promise<TasksReport> {
    return this.#parts.tasksFile.add(text, { ...options, dryRun: false });
  }

  removeTask(id: string): Promise<boolean> {
    return this.#parts.sitter.remove(id);
  }

  loadTasks(by: string): Promise<TasksReport> {
    return this.#parts.tasksFile.load(by);
  }

  writeTasks(by: string): Promise<{ file: string; written: string[]; leftOut: string[] }> {
    return this.#parts.tasksFile.write(by);
  }

  signal(id: string, signal: NodeJS.Signals, by: string): void {
    this.#parts.sitter.signal(id, { signal, to: 'all', by });
  }

  postMortems(id: string): RunEnd[] {
    return this.#parts.sitter.postMortems(id);
  }

  events({ limit, task }: { limit: number; task?: string }): ClusterEvent[] {
    const all = this.#parts.sitter.events.since(0);
    return (task === undefined ? all : all.filter((event) => event.copy === task)).slice(-limit);
  }

  async logTail(
    id: string,
    stream: 'stdout' | 'stderr',
    { lines, run: asked }: { lines: number; run?: number },
  ): Promise<LogTail> {
    const log = this.#parts.sitter.log(id, stream);
    const run = asked ?? log.newestRun();
    if (asked !== undefined && !log.runs.includes(asked))
      throw new CerebroError(
        'not_found',
        `run ${asked} of "${id}" is not kept; these are: ${log.runs.join(', ') || 'none'}`,
      );
    const signal = new AbortController().signal;
    const options = { run, tail: lines, offset: undefined, follow: false, signal };
    const from = await firstOffset(log, options);
    const chunks: Buffer[] = [];
    let kept = 0;
    let offset = from;
    for await (const chunk of readLog(log, from, options)) {
      chunks.push(chunk);
      kept += chunk.length;
      offset += chunk.length;
      // Of lines that are longer than a page can show, the end is shown.
      while (kept - (chunks[0]?.length ?? 0) >= MAX_TAIL_BYTES) kept -= chunks.shift()?.length ?? 0;
    }
    return { run, runs: log.runs, text: Buffer.concat(chunks).toString('utf8'), offset };
  }

  onChange(listener: () => void): () => void {
    const { sitter, vitals } = this.#parts;
    const offs = [sitter.onChange(listener), sitter.events.onEvent(listener), vitals.onSample(listener)];
    return () => {
      for (const off of offs) off();
    };
  }
}
