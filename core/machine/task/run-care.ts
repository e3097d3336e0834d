import type { Timer } from '../../contracts/clock.ts';
import type { Warning } from '../../contracts/limit-enforcer.ts';
import type { LogCondition, TaskDefinition, TaskHealth } from '../../model/task.ts';
import type { LogKeeper } from '../logs/log-keeper.ts';
import { RunLogs } from '../logs/run-logs.ts';
import { RunHealth } from './run-health.ts';
import type { TaskRun, TaskRunDeps } from './task-run.ts';

export interface RunCareDeps extends TaskRunDeps {
  logKeeper: LogKeeper;
}

/** Who is told about a run while it lives. */
export interface RunCareHost {
  /** It failed its health check for good; `sentence` says which. */
  onUnhealthy(sentence: string): void;
  onHealthy(sentence: string): void;
  /** It comes near a limit. */
  onWarning(sentence: string): void;
  /** What is shown of it has changed. */
  onChange(): void;
}

/** Whatever goes along with one run while it lives: logs held to their size, health, warnings, the deadline of its stop. */
export class RunCare {
  readonly #deps: RunCareDeps;
  readonly #run: TaskRun;
  readonly #definition: TaskDefinition;
  readonly #host: RunCareHost;
  #health: RunHealth | null = null;
  #logs: RunLogs | null = null;
  #deadline: Timer | null = null;
  /** By limit. */
  readonly #warnings = new Map<string, string>();
  #over = false;

  constructor(deps: RunCareDeps, run: TaskRun, definition: TaskDefinition, host: RunCareHost) {
    this.#deps = deps;
    this.#run = run;
    this.#definition = definition;
    this.#host = host;
  }

  get health(): TaskHealth | null {
    return this.#health?.condition ?? null;
  }

  get logs(): LogCondition | null {
    return this.#logs?.condition ?? null;
  }

  get warnings(): string[] {
    return [...this.#warnings.values()];
  }

  keepLogs(): void {
    if (this.#over) return;
    this.#logs = RunLogs.begin(this.#deps, this.#run.record.run, this.#definition.configuration.logs.max_bytes);
  }

  /** From the moment that the task's process is there. */
  askHealth(): void {
    const check = this.#definition.configuration.health_check;
    if (this.#over || check === undefined) return;
    this.#health = new RunHealth(this.#deps, this.#definition, check, this.#run.record.startedUptime, {
      onChange: ({ state, sentence }) => {
        if (state === 'unhealthy') this.#host.onUnhealthy(sentence);
        else if (state === 'healthy') this.#host.onHealthy(sentence);
        this.#host.onChange();
      },
    });
    this.#health.start();
  }

  warn({ limit, sentence }: Warning): void {
    if (this.#over) return;
    if (sentence === null) this.#warnings.delete(limit);
    else {
      this.#warnings.set(limit, sentence);
      this.#host.onWarning(sentence);
    }
    this.#host.onChange();
  }

  /** It has been asked to end: `onLate` is called unless it has ended within so many milliseconds. */
  mustEndWithin(ms: number, onLate: () => void): void {
    this.#deadline?.cancel();
    this.#deadline = this.#deps.clock.timer(ms, onLate);
  }

  /** The run goes on without us. */
  letGo(): void {
    this.#stop();
    this.#logs?.letGo();
  }

  /** The run is over; resolves when nothing is done to its logs any more. */
  async end(): Promise<void> {
    this.#stop();
    await this.#logs?.end();
  }

  #stop(): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#health?.stop();
  }
}
