import type { RecipeLoader } from '../../core/contracts/recipe.ts';
import { CerebroError } from '../../core/errors.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** The recipe `sim`: takes its time, fails now and then, and sometimes does not come back at all. */
export function simulatedRecipes(world: World, process: SitterProcess): RecipeLoader {
  const random = world.random.fork(`recipes of ${process.name}`);
  return {
    name: 'sim',
    start: async () => undefined,
    stop: async () => undefined,
    load: async (recipe) => {
      if (recipe !== 'sim') return undefined;
      return ({ copy }) => ({
        runDeploy: () =>
          new Promise<void>((resolve, reject) => {
            const fate = world.calm ? 1 : random.next();
            if (fate < 0.03) return;
            world.after(random.between(200, 6000), () =>
              process.deliver(() => {
                if (fate < 0.1) reject(new CerebroError('invalid', `the recipe for ${copy} had bad luck`));
                else resolve();
              }),
            );
          }),
      });
    },
  };
}
