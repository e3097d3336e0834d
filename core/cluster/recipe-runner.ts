import type { Clock } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineProvider } from '../contracts/machine-provider.ts';
import type { RecipeFactory, RecipeLoader } from '../contracts/recipe.ts';
import type { Remote } from '../contracts/remote.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { CopyRecord } from '../model/copy.ts';
import type { NewEvent } from '../model/event.ts';
import type { JobSpec } from '../model/job.ts';
import type { MachineRecord } from '../model/machine.ts';

export interface RecipeRun {
  copy: CopyRecord;
  machine: MachineRecord;
  spec: JobSpec;
  provider: MachineProvider;
  signal: AbortSignal;
}

export interface RecipeRunnerDeps {
  loaders: readonly RecipeLoader[];
  deadlineMs: number;
  clock: Clock;
  logger: Logger;
  tell(events: NewEvent[]): Promise<void>;
}

/** Finds recipes among the loaders and runs them on machines, each under a deadline. */
export class RecipeRunner {
  readonly #deps: RecipeRunnerDeps;
  /** The last recipe on each machine. Two at once would get in each other's way there: they unpack into the same folders. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(deps: RecipeRunnerDeps) {
    this.#deps = deps;
  }

  /** Throws `invalid` for a recipe that nobody knows, that does not load, or whose options are wrong. */
  async find(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory> {
    for (const loader of this.#deps.loaders) {
      const factory = await loader.load(recipe, options);
      if (factory) return factory;
    }
    const loaders = this.#deps.loaders.map((loader) => loader.name).join(', ') || 'none';
    throw new CerebroError(
      'invalid',
      `deployment_recipe: no recipe loader knows "${recipe}" (asked: ${loaders}); name a built-in one, or a path like ./deploy.ts`,
    );
  }

  /** Runs the job's recipe for one copy, after those that run on its machine already; nothing to do where the job has none. */
  async run(run: RecipeRun): Promise<void> {
    const recipe = run.spec.deployment_recipe;
    if (recipe === undefined) return;
    const before = this.#turns.get(run.machine.id) ?? Promise.resolve();
    const turn = before.then(() => (run.signal.aborted ? undefined : this.#runNow(run, recipe)));
    const settled = turn.then(
      () => undefined,
      () => undefined, // whoever comes next does not mind; who waits for `turn` learns of it
    );
    this.#turns.set(run.machine.id, settled);
    try {
      await turn;
    } finally {
      if (this.#turns.get(run.machine.id) === settled) this.#turns.delete(run.machine.id);
    }
  }

  async #runNow(run: RecipeRun, recipe: string): Promise<void> {
    const deadline = new AbortController();
    const timer = this.#deps.clock.timer(this.#deps.deadlineMs, () => deadline.abort());
    try {
      await this.#runUntil(deadline.signal, run, recipe);
    } finally {
      timer.cancel();
    }
  }

  async #runUntil(deadline: AbortSignal, run: RecipeRun, deployment_recipe: string): Promise<void> {
    const { recipe_options, version } = run.spec;
    const { copy, machine, provider } = run;
    const about = { job: copy.job, machine: machine.id, copy: copy.id };
    const signal = AbortSignal.any([run.signal, deadline]);
    const factory = await this.find(deployment_recipe, recipe_options);
    await this.#deps.tell([
      {
        level: 'info',
        kind: 'recipe-started',
        message: `${copy.id}: recipe "${deployment_recipe}" runs on ${machine.id}`,
        ...about,
      },
    ]);
    const remote = await provider.remote({ machineId: machine.id, address: machine.address });
    try {
      const lines: NewEvent[] = [];
      const recipe = factory({
        remote,
        options: recipe_options,
        version,
        job: copy.job,
        copy: copy.id,
        machine: { id: machine.id, zone: machine.zone, address: machine.address },
        logger: this.#recipeLogger(about, lines),
        signal,
      });
      try {
        await this.#withDeadline(recipe.runDeploy(), signal, deployment_recipe, remote, deadline);
      } catch (error) {
        // What it said before it failed is what people need to read.
        await this.#deps.tell(lines);
        throw error;
      }
      await this.#deps.tell([
        ...lines,
        { level: 'info', kind: 'recipe-done', message: `${copy.id}: recipe "${deployment_recipe}" is done`, ...about },
      ]);
    } finally {
      await remote.close();
    }
  }

  async #withDeadline(
    work: Promise<void>,
    signal: AbortSignal,
    recipe: string,
    remote: Remote,
    deadline: AbortSignal,
  ): Promise<void> {
    let onAbort: (() => void) | undefined;
    const ended = new Promise<never>((_resolve, reject) => {
      onAbort = () =>
        reject(
          deadline.aborted
            ? new CerebroError('timeout', `recipe "${recipe}" did not end within ${this.#deps.deadlineMs / 1000} s`)
            : new CerebroError('unavailable', `recipe "${recipe}" was broken off`),
        );
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      await Promise.race([work, ended]);
    } catch (error) {
      // What it still runs over there dies with its remote.
      await remote.close();
      throw error instanceof CerebroError
        ? error
        : new CerebroError('invalid', `recipe "${recipe}" failed: ${messageOf(error)}`, { cause: error });
    } finally {
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
  }

  /** What a recipe says goes to the copy's timeline as well; bounded, for a recipe may say anything. */
  #recipeLogger(about: Pick<NewEvent, 'job' | 'machine' | 'copy'>, lines: NewEvent[]): Logger {
    const { logger } = this.#deps;
    const tell = (level: NewEvent['level'], message: string): void => {
      if (lines.length < 100)
        lines.push({ level, kind: 'recipe-line', message: `${about.copy}: ${message.slice(0, 500)}`, ...about });
    };
    const log: Logger = {
      debug: (fields, message) => logger.debug({ ...about, ...fields }, message),
      info: (fields, message) => {
        tell('info', message);
        logger.info({ ...about, ...fields }, message);
      },
      warn: (fields, message) => {
        tell('warn', message);
        logger.warn({ ...about, ...fields }, message);
      },
      error: (fields, message) => {
        tell('error', message);
        logger.error({ ...about, ...fields }, message);
      },
      child: () => log,
    };
    return log;
  }
}
