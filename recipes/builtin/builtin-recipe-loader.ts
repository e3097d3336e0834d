import type { z } from 'zod';
import type { RecipeFactory, RecipeLoader } from '../../core/contracts/recipe.ts';
import { CerebroError } from '../../core/errors.ts';
import { ReleaseRecipe, releaseOptions } from './release-recipe.ts';
import { ScriptRecipe, scriptOptions } from './script-recipe.ts';

const BUILT_IN = {
  script: { factory: (context) => new ScriptRecipe(context), options: scriptOptions },
  release: { factory: (context) => new ReleaseRecipe(context), options: releaseOptions },
} satisfies Record<string, { factory: RecipeFactory; options: z.ZodType }>;

/** The recipes that come with Cerebro, by name. */
export class BuiltinRecipeLoader implements RecipeLoader {
  readonly name = 'built-in';

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  async load(recipe: string, options: Record<string, unknown>): Promise<RecipeFactory | undefined> {
    if (!Object.hasOwn(BUILT_IN, recipe)) return undefined;
    const found = BUILT_IN[recipe as keyof typeof BUILT_IN];
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
