import type { Clock } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import type { RecipeFactory, RecipeLoader } from '../../contracts/recipe.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { NewEvent } from '../../model/event.ts';
import type { JobSpec } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Progress } from '../../model/progress.ts';
import { RecipeLog } from './recipe-log.ts';
import { RemoteRecipeSteps } from './recipe-steps.ts';

/** For a recipe to be found and loaded. What is imported may wait for anything, and for ever. */
const FIND_MS = 30_000;

export interface RecipeRun {
  copy: CopyRecord;
  machine: MachineRecord;
  spec: JobSpec;
  provider: MachineProvider;
  signal: AbortSignal;
}

export interface RecipeRunnerDeps {
  loaders: readonly RecipeLoader[];
  /** For one run of a recipe. */
  deadlineMs: number;
  clock: Clock;
  logger: Logger;
  tell(events: NewEvent[]): Promise<void>;
  /** The DNS name of a copy; null: it gets none. */
  dnsName?(copy: CopyRecord): Promise<string | null>;
  /** How far the recipe of a copy is; null: it is over. */
  onProgress?(copy: string, progress: Progress | null): void;
}

/** Finds recipes among the loaders and runs them on machines, each under a deadline. */
export class RecipeRunner {
  readonly #deps: RecipeRunnerDeps;
  /** The last recipe on each machine. Two at once would get in each other's way there: they unpack into the same folders. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(deps: RecipeRunnerDeps) {
    this.#deps = deps;
  }

  /** Throws `invalid` for a recipe that nobody knows, that does not load, or whose options are wrong; `timeout` for one that takes too long. */
  async find(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory> {
    const { clock } = this.#deps;
    return new Promise((resolve, reject) => {
      const timer = clock.timer(FIND_MS, () =>
        reject(
          new CerebroError(
            'timeout',
            `deployment_recipe: "${recipe}" was not loaded within ${FIND_MS / 1000} s; look what it waits for while it is imported`,
          ),
        ),
      );
      this.#ask(recipe, options)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }

  async #ask(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory> {
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
    const ends = { recipe: deployment_recipe, signal, deadline };
    const factory = await this.#inTime(ends, this.#ask(deployment_recipe, recipe_options));
    await this.#deps.tell([
      {
        level: 'info',
        kind: 'recipe-started',
        message: `${copy.id}: recipe "${deployment_recipe}" runs on ${machine.id}`,
        ...about,
      },
    ]);
    const reached = provider.remote({ machineId: machine.id, address: machine.address });
    const remote = await this.#inTime(ends, this.#named(deployment_recipe, reached), (late) => late.close());
    const log = new RecipeLog({ ...this.#deps, about });
    try {
      const dnsName = await this.#inTime(ends, this.#deps.dnsName?.(copy) ?? Promise.resolve(null));
      const recipe = factory({
        remote,
        steps: new RemoteRecipeSteps(remote, copy.id, `${copy.id} version ${copy.version}`),
        options: recipe_options,
        version,
        job: copy.job,
        copy: copy.id,
        machine: { id: machine.id, zone: machine.zone, address: machine.address },
        dnsName,
        logger: log.logger,
        signal,
        progress: (step, percent) => {
          if (!signal.aborted)
            this.#deps.onProgress?.(copy.id, { step, percent: wholePercent(percent), failure: null });
        },
      });
      try {
        await this.#inTime(ends, this.#named(deployment_recipe, recipe.runDeploy()));
      } catch (error) {
        // What it still runs over there dies with its remote.
        await remote.close();
        throw error;
      } finally {
        // What it said before it failed is what people need to read.
        await log.end();
      }
      const message = `${copy.id}: recipe "${deployment_recipe}" is done`;
      await this.#deps.tell([{ level: 'info', kind: 'recipe-done', message, ...about }]);
    } finally {
      this.#deps.onProgress?.(copy.id, null);
      await remote.close();
    }
  }

  /** Every failure says whose it is. */
  async #named<T>(recipe: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      const code = error instanceof CerebroError ? error.code : 'invalid';
      throw new CerebroError(code, `recipe "${recipe}" failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Waits for a part of a run no longer than the run may take; what comes of it later is handed to `letGo`. */
  async #inTime<T>(
    { recipe, signal, deadline }: RunEnds,
    work: Promise<T>,
    letGo: (late: T) => Promise<void> = async () => undefined,
  ): Promise<T> {
    let onAbort = (): void => undefined;
    const ended = new Promise<never>((_resolve, reject) => {
      onAbort = () => {
        const late = `it did not end within ${this.#deps.deadlineMs / 1000} s (recipe_deadline) and was broken off`;
        reject(
          deadline.aborted
            ? new CerebroError('timeout', `recipe "${recipe}" failed: ${late}`)
            : new CerebroError('unavailable', `recipe "${recipe}" failed: it was broken off`),
        );
      };
    });
    signal.addEventListener('abort', onAbort, { once: true });
    // An event that was before says nothing any more.
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([work, ended]);
    } catch (error) {
      work
        .then(letGo)
        .catch((reason: unknown) =>
          this.#deps.logger.debug({ recipe, reason: messageOf(reason) }, 'what a recipe still did has failed'),
        );
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function wholePercent(percent: number | null): number | null {
  return percent === null || Number.isNaN(percent) ? null : Math.floor(Math.min(100, Math.max(0, percent)));
}

/** What ends a run before it is done. */
interface RunEnds {
  recipe: string;
  signal: AbortSignal;
  /** The one of the two that `signal` follows which is about time. */
  deadline: AbortSignal;
}
