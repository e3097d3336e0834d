import type { z } from 'zod';
import type { RecipeFactory, RecipeLoader } from '../../core/contracts/recipe.ts';
import { CerebroError } from '../../core/errors.ts';
import { FileHashes } from './file-hashes.ts';
import { ReleaseRecipe, releaseOptions } from './release-recipe.ts';
import { ScriptRecipe, scriptOptions } from './script-recipe.ts';

/** The recipes that come with Cerebro, by name. */
export class BuiltinRecipeLoader implements RecipeLoader {
  readonly name = 'built-in';
  readonly #recipes: ReadonlyMap<string, { factory: RecipeFactory; options: z.ZodType }>;

  constructor() {
    const hashes = new FileHashes();
    this.#recipes = new Map<string, { factory: RecipeFactory; options: z.ZodType }>([
      ['script', { factory: (context) => new ScriptRecipe(context), options: scriptOptions }],
      ['release', { factory: (context) => new ReleaseRecipe(context, hashes), options: releaseOptions }],
    ]);
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  async load(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory | undefined> {
    const found = this.#recipes.get(recipe);
    if (found === undefined) return undefined;
    const result = found.options.safeParse(options);
    if (!result.success) {
      const problems = result.error.issues
        .map((issue) => `recipe_options.${issue.path.join('.')}: ${issue.message}`)
        .join('; ');
      throw new CerebroError('invalid', `deployment_recipe "${recipe}": ${problems}`);
    }
    return found.factory;
  }
}
