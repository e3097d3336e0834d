import { definePlugin } from '../../core/define-plugin.ts';
import { ModuleRecipeLoader } from './module-recipe-loader.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'recipes-module',
  point: 'recipe-loader',
  config,
  needs: ['recipePath'],
  create: (services) => new ModuleRecipeLoader(services.recipePath),
});
