import type { Logger } from './logger.ts';
import type { Remote } from './remote.ts';

/** Which steps of this deployment (this copy, in this version) are done on this machine. */
export interface RecipeSteps {
  isDone(step: string): Promise<boolean>;
  setDone(step: string): Promise<void>;
}

export interface RecipeContext {
  remote: Remote;
  /** Without it, every step is run. */
  steps?: RecipeSteps;
  /**
   * Says what is done now, and how much of that (0 to 100; null: nobody can tell). It is shown with the copy for as long as the recipe runs,
   * and may be called as often as it changes. What is to be read later goes to the logger.
   */
  progress?: (step: string, percent: number | null) => void;
  /** The job's `recipe_options`, as they are. */
  options: Record<string, unknown>;
  /** The job's `version`, if it names one. */
  version: string | undefined;
  job: string;
  copy: string;
  machine: { id: string; zone: string; address: string | null };
  /** The copy's own DNS name, under which it is found once it runs; null or absent: it gets none. */
  dnsName?: string | null;
  /** Goes to the copy's timeline, while the recipe runs, and to the daemon's log. */
  logger: Logger;
  /** Ends when the recipe's time is up or the copy is no longer wanted. */
  signal: AbortSignal;
}

/** A recipe that is ready to run. It must bear being run again: after a crash nobody knows how far it came. */
export interface Recipe {
  runDeploy(): Promise<void>;
}

/** The base class for recipes in TypeScript or JavaScript. */
export abstract class DeploymentRecipe implements Recipe {
  readonly remote: Remote;
  readonly options: Record<string, unknown>;
  readonly version: string | undefined;
  readonly job: string;
  readonly copy: string;
  readonly machine: RecipeContext['machine'];
  readonly dnsName: string | null;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly #steps: RecipeSteps | undefined;
  readonly #progress: RecipeContext['progress'];

  constructor(context: RecipeContext) {
    this.remote = context.remote;
    this.options = context.options;
    this.version = context.version;
    this.job = context.job;
    this.copy = context.copy;
    this.machine = context.machine;
    this.dnsName = context.dnsName ?? null;
    this.logger = context.logger;
    this.signal = context.signal;
    this.#steps = context.steps;
    this.#progress = context.progress;
  }

  /**
   * Does a part of the recipe once: when the recipe is run again, since something after it failed, it is passed over. That holds for
   * this copy in this version on this machine; a new version does every step again.
   */
  async step(name: string, work: () => Promise<void>): Promise<void> {
    this.signal.throwIfAborted();
    if (await this.#steps?.isDone(name)) {
      this.logger.info({ step: name }, `${name}: done before`);
      return;
    }
    this.logger.info({ step: name }, name);
    this.progress(name);
    await work();
    await this.#steps?.setDone(name);
  }

  /** What is done now, and how much of that (0 to 100), for those who look at the copy while the recipe runs. */
  progress(step: string, percent: number | null = null): void {
    this.#progress?.(step, percent);
  }

  abstract runDeploy(): Promise<void>;
}

export type RecipeFactory = (context: RecipeContext) => Recipe;

/**
 * Finds recipes by the name in `deployment_recipe`.
 * `load` answers undefined for a name that is not its kind, and throws `invalid` for one that is but cannot be used.
 */
export interface RecipeLoader {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  load(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory | undefined>;
}
