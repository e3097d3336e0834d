import { existsSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { createJiti } from 'jiti';
import type { Recipe, RecipeContext, RecipeFactory, RecipeLoader } from '../../core/contracts/recipe.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';

/** `./deploy.ts`, `/opt/recipes/deploy.js`, `recipes/deploy.mjs`: a path, told from other names by its slash or ending. */
const LOOKS_LIKE_PATH = /\/|\.[cm]?[jt]s$/;
/** `@acme/recipe` and `acme-recipe`: a package's name has no dot outside a scope. */
const LOOKS_LIKE_PACKAGE = /^(@[a-z0-9-]+\/)?[a-z0-9][a-z0-9-]*$/;

/**
 * Recipes that are modules in TypeScript or JavaScript: a class with `runDeploy`, or a function that makes an object with it,
 * exported as `default`, as `recipe`, or as the module's only class. Loaded afresh when the file has changed.
 */
export class ModuleRecipeLoader implements RecipeLoader {
  readonly name = 'module';
  readonly #path: readonly string[];
  readonly #loaded = new Map<string, { mtimeMs: number; factory: RecipeFactory }>();

  constructor(path: readonly string[]) {
    this.#path = path;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#loaded.clear();
  }

  async load(recipe: string): Promise<RecipeFactory | undefined> {
    if (LOOKS_LIKE_PATH.test(recipe) && !recipe.startsWith('@')) return this.#loadFile(recipe, this.#find(recipe));
    if (!LOOKS_LIKE_PACKAGE.test(recipe)) return undefined;
    for (const folder of this.#path) {
      const manifest = join(folder, 'node_modules', recipe, 'package.json');
      if (existsSync(manifest)) return this.#import(recipe, recipe, folder, statSync(manifest).mtimeMs);
    }
    return undefined;
  }

  #find(recipe: string): string {
    const candidates = isAbsolute(recipe) ? [recipe] : this.#path.map((folder) => resolve(folder, recipe));
    const found = candidates.find((path) => existsSync(path) && statSync(path).isFile());
    if (found !== undefined) return found;
    throw new CerebroError(
      'invalid',
      `deployment_recipe: there is no file "${recipe}" where the cluster sitter looks: ${candidates.join(', ')}`,
    );
  }

  #loadFile(recipe: string, path: string): Promise<RecipeFactory> {
    return this.#import(recipe, path, dirname(path), statSync(path).mtimeMs);
  }

  async #import(recipe: string, id: string, from: string, mtimeMs: number): Promise<RecipeFactory> {
    const known = this.#loaded.get(id);
    if (known?.mtimeMs === mtimeMs) return known.factory;
    // jiti compiles TypeScript on the fly; our own contract is what `cerebro/recipe` means, wherever the recipe lies.
    const contract = new URL(
      import.meta.url.endsWith('.ts') ? '../../core/contracts/recipe.ts' : '../../core/contracts/recipe.js',
      import.meta.url,
    ).pathname;
    const jiti = createJiti(join(from, 'recipe-loader.js'), {
      moduleCache: false,
      fsCache: false,
      alias: { 'cerebro/recipe': contract },
    });
    let module: unknown;
    try {
      module = await jiti.import(id);
    } catch (error) {
      throw new CerebroError('invalid', `deployment_recipe: "${recipe}" does not load: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const factory = factoryOf(module);
    if (!factory) {
      throw new CerebroError(
        'invalid',
        `deployment_recipe: "${recipe}" exports no recipe: a class with runDeploy() as its default export or as "recipe"`,
      );
    }
    this.#loaded.set(id, { mtimeMs, factory });
    return factory;
  }
}

function factoryOf(module: unknown): RecipeFactory | undefined {
  if (typeof module !== 'object' || module === null) return undefined;
  const named =
    'default' in module && module.default !== undefined
      ? module.default
      : 'recipe' in module
        ? module.recipe
        : undefined;
  const candidates = named === undefined ? Object.values(module).filter(isRecipeClass) : [named];
  const [only, ...others] = candidates;
  if (only === undefined || others.length > 0) return undefined;
  if (isRecipeClass(only)) return (context) => new only(context);
  if (typeof only === 'function') return (context) => checked(Reflect.apply(only, undefined, [context]));
  return hasRunDeploy(only) ? () => only : undefined;
}

function isRecipeClass(value: unknown): value is new (context: RecipeContext) => Recipe {
  return typeof value === 'function' && hasRunDeploy(value.prototype);
}

function hasRunDeploy(value: unknown): value is Recipe {
  return typeof value === 'object' && value !== null && 'runDeploy' in value && typeof value.runDeploy === 'function';
}

function checked(value: unknown): Recipe {
  if (hasRunDeploy(value)) return value;
  throw new CerebroError('invalid', 'the recipe function returned no object with runDeploy()');
}
