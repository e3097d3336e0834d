import type { RecipeContext, RecipeLoader } from '../../core/contracts/recipe.ts';
import type { Suite } from './suite.ts';

export interface LoaderUnderTest {
  loader: RecipeLoader;
  /** A recipe that it has, with options that are right for it, and what shows that it ran. */
  good: { recipe: string; options: Record<string, unknown>; ran(): boolean };
  /** Recipes that are its kind and cannot be used, with the options that they are given. */
  bad: { recipe: string; options: Record<string, unknown> }[];
  /** What such a recipe is run with. */
  context(options: Record<string, unknown>): RecipeContext;
  cleanUp(): Promise<void>;
}

/** What every `recipe-loader` must do. */
export function recipeLoaderSuite(make: () => Promise<LoaderUnderTest>): Suite {
  const test = (
    name: string,
    body: (t: Parameters<Suite[number]['run']>[0], under: LoaderUnderTest) => Promise<void>,
  ): Suite[number] => ({
    name,
    run: async (t) => {
      const under = await make();
      await under.loader.start();
      try {
        await body(t, under);
      } finally {
        await under.loader.stop();
        await under.cleanUp();
      }
    },
  });
  return [
    test('a recipe that it has is loaded and runs', async (t, { loader, good, context }) => {
      const factory = await loader.load(good.recipe, good.options);
      t.ok(factory);
      t.notOk(good.ran());
      await factory?.(context(good.options)).runDeploy();
      t.ok(good.ran());
    }),
    test('it may be loaded and run again', async (t, { loader, good, context }) => {
      for (let n = 0; n < 2; n++)
        await (await loader.load(good.recipe, good.options))?.(context(good.options)).runDeploy();
      t.ok(good.ran());
    }),
    test('a name that is not its kind is left to others', async (t, { loader }) => {
      t.equal(await loader.load('Some Name That Is No Recipe!', {}), undefined);
    }),
    test('a recipe that is its kind and cannot be used is refused, not passed over', async (t, { loader, bad }) => {
      for (const { recipe, options } of bad) await t.rejects(loader.load(recipe, options));
      t.ok(bad.length > 0);
    }),
    test('stop is fine twice', async (t, { loader }) => {
      await loader.stop();
      await loader.stop();
      t.ok(true);
    }),
  ];
}
