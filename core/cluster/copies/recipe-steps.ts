import type { RecipeSteps } from '../../contracts/recipe.ts';
import type { Remote } from '../../contracts/remote.ts';

const FOLDER = '.cerebro-steps';

/**
 * Which steps of a recipe are done, in a file on the machine: it goes when the machine goes, and outlives the cluster sitter. Its
 * first line says for which deployment; another one begins afresh.
 */
export class RemoteRecipeSteps implements RecipeSteps {
  readonly #remote: Remote;
  readonly #file: string;
  readonly #deployment: string;
  #done: Promise<Set<string>> | null = null;

  constructor(remote: Remote, copy: string, deployment: string) {
    this.#remote = remote;
    this.#file = `${FOLDER}/${encodeURIComponent(copy)}`;
    this.#deployment = deployment;
  }

  async isDone(step: string): Promise<boolean> {
    return (await this.#read()).has(lineOf(step));
  }

  async setDone(step: string): Promise<void> {
    const done = await this.#read();
    done.add(lineOf(step));
    await this.#remote.write(`${[this.#deployment, ...done].join('\n')}\n`, this.#file, { mode: 0o600 });
  }

  #read(): Promise<Set<string>> {
    this.#done ??= this.#load();
    return this.#done;
  }

  async #load(): Promise<Set<string>> {
    const { code, stdout } = await this.#remote.run(['cat', this.#file], { allowFailure: true, timeout: 60 });
    const [deployment, ...lines] = stdout.split('\n').filter((line) => line !== '');
    return code === 0 && deployment === this.#deployment ? new Set(lines) : new Set();
  }
}

/** A name is a line of the file. */
function lineOf(step: string): string {
  return JSON.stringify(step);
}
