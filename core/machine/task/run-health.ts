import type { Clock, Timer } from '../../contracts/clock.ts';
import type { ProcessTable } from '../../contracts/process-table.ts';
import { type Health, NOT_ASKED_YET, pauseBeforeCheck, stepHealth } from '../../decide/task/task-health.ts';
import { taskVariables } from '../../decide/task/task-variables.ts';
import type { HealthCheck } from '../../model/health-check.ts';
import type { TaskDefinition, TaskHealth } from '../../model/task.ts';
import type { TasksStanding } from '../shim/standing.ts';
import { taskEnvironment, taskUser } from '../shim/task-user.ts';
import { askHealth, type ProbeContext } from './health-probe.ts';

interface Deps {
  clock: Clock;
  processes: ProcessTable;
  baseEnv: Record<string, string>;
  shims: { readonly standing: TasksStanding };
}

/** Asks one run about its health, again and again, until it is unhealthy or `stop` is called. */
export class RunHealth {
  readonly #deps: Deps;
  readonly #check: HealthCheck;
  readonly #context: ProbeContext;
  readonly #startedUptime: number;
  readonly #listener: { onChange(health: Health): void };
  readonly #stopped = new AbortController();
  #health: Health = NOT_ASKED_YET;
  #timer: Timer | null = null;

  /** `startedUptime`: when the run began, in seconds since boot. `onChange` is told of each new state. */
  constructor(
    deps: Deps,
    definition: TaskDefinition,
    check: HealthCheck,
    startedUptime: number,
    listener: { onChange(health: Health): void },
  ) {
    this.#deps = deps;
    this.#check = check;
    this.#startedUptime = startedUptime;
    this.#listener = listener;
    const { id, job, configuration } = definition;
    const user = taskUser(configuration.uid);
    const env = taskEnvironment(deps.baseEnv, user, { job, copy: id }, taskVariables(definition));
    this.#context = { become: user.become, env, cwd: configuration.cwd, standing: deps.shims.standing };
  }

  get condition(): TaskHealth {
    const { state, sentence } = this.#health;
    return { state, sentence };
  }

  start(): void {
    const pause = pauseBeforeCheck(this.#health, this.#check);
    this.#timer = this.#deps.clock.timer(pause * 1000, () => void this.#ask());
  }

  stop(): void {
    this.#stopped.abort();
    this.#timer?.cancel();
  }

  async #ask(): Promise<void> {
    const answer = await askHealth(this.#check, this.#context, this.#stopped.signal);
    if (this.#stopped.signal.aborted) return;
    const livedMs = (this.#deps.processes.uptime() - this.#startedUptime) * 1000;
    const before = this.#health;
    this.#health = stepHealth(before, answer, this.#check, livedMs);
    if (this.#health.state !== 'unhealthy') this.start();
    if (this.#health.state !== before.state) this.#listener.onChange(this.#health);
  }
}
