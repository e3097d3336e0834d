import { definePlugin } from '../../core/define-plugin.ts';
import { PythonRecipeLoader } from './python-recipe-loader.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'recipes-python',
  point: 'recipe-loader',
  config,
  needs: ['recipePath'],
  create: (services, options) => new PythonRecipeLoader(services.recipePath, options),
});
