import { definePlugin } from '../../core/define-plugin.ts';
import { BuiltinRecipeLoader } from './builtin-recipe-loader.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'recipes-builtin',
  point: 'recipe-loader',
  config,
  needs: [],
  create: () => new BuiltinRecipeLoader(),
});
