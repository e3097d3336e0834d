import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { RecipeFactory, RecipeLoader } from '../../core/contracts/recipe.ts';
import { CerebroError } from '../../core/errors.ts';
import { PythonChild } from './python-child.ts';
import { PythonRecipe } from './python-recipe.ts';
import type { Config } from './schema.ts';

/** `mystartup.recipes.deploy`: words of Python with dots between. */
const DOTTED_NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/;
const CHECK_MS = 60_000;

const checkAnswer = z.union([z.strictObject({ file: z.string() }), z.strictObject({ problem: z.string() })]);

/** Recipes that are classes in Python, by their dotted name: a module with one recipe, or a class in a module. */
export class PythonRecipeLoader implements RecipeLoader {
  readonly name = 'python';
  readonly #python: string;
  readonly #path: readonly string[];
  /** What was found to be a recipe, by the file that it is in; one that has changed is looked at again. */
  readonly #checked = new Map<string, { file: string; mtimeMs: number }>();
  readonly #children = new Set<PythonChild>();

  constructor(recipePath: readonly string[], config: Config) {
    this.#python = config.python;
    this.#path = [...new Set([...config.path.map((folder) => resolve(folder)), ...recipePath])].filter(isFolder);
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill();
    this.#checked.clear();
  }

  async load(recipe: string): Promise<RecipeFactory | undefined> {
    if (!DOTTED_NAME.test(recipe)) return undefined;
    const known = this.#checked.get(recipe);
    if (known === undefined || changedAt(known.file) !== known.mtimeMs) await this.#check(recipe);
    const settings = { python: this.#python, path: this.#path };
    return (context) => new PythonRecipe(recipe, settings, context);
  }

  async #check(recipe: string): Promise<void> {
    let answer = '';
    const child = new PythonChild({
      python: this.#python,
      path: this.#path,
      module: 'check',
      args: [recipe],
      onMessage: (line) => {
        answer = line;
      },
      onPrint: () => undefined,
    });
    this.#children.add(child);
    const timer = setTimeout(() => child.kill(), CHECK_MS);
    try {
      const { code, signal, stderr } = await child.ended;
      const parsed = checkAnswer.safeParse(parsedJson(answer));
      if (!parsed.success) {
        const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
        throw refusal(
          recipe,
          `loading it ${how}: ${stderr.trim().split('\n').slice(-3).join(' | ') || 'it said nothing'}`,
        );
      }
      if ('problem' in parsed.data) throw refusal(recipe, parsed.data.problem);
      const { file } = parsed.data;
      this.#checked.set(recipe, { file, mtimeMs: changedAt(file) });
    } finally {
      clearTimeout(timer);
      this.#children.delete(child);
    }
  }
}

function refusal(recipe: string, why: string): CerebroError {
  return new CerebroError('invalid', `deployment_recipe: "${recipe}" cannot be used: ${why}`);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // it ended before it had an answer
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
