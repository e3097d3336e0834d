import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { RecipeContext, RecipeLoader } from '../../core/contracts/recipe.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { BuiltinRecipeLoader } from '../../recipes/builtin/builtin-recipe-loader.ts';
import { ModuleRecipeLoader } from '../../recipes/module/module-recipe-loader.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { type LoaderUnderTest, recipeLoaderSuite } from '../suites/index.ts';

function place(): { folder: string; context: LoaderUnderTest['context']; cleanUp: LoaderUnderTest['cleanUp'] } {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-recipes-'));
  const context = (options: Record<string, unknown>): RecipeContext => ({
    remote: new LocalRemote(folder, {}),
    options,
    version: '1.4',
    job: 'web',
    copy: 'web.1',
    machine: { id: 'local-a-1', zone: 'local-a', address: '127.0.0.1' },
    logger: silentLogger,
    signal: new AbortController().signal,
  });
  return { folder, context, cleanUp: async () => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }) };
}

const CLASS = `import { DeploymentRecipe } from 'cerebro/recipe';
export default class extends DeploymentRecipe { async runDeploy(): Promise<void> { await this.remote.write(String(this.options.text), 'ran'); } }`;

t.test('recipes-builtin', async (t) => {
  const make = async (): Promise<LoaderUnderTest> => {
    const { folder, context, cleanUp } = place();
    const options = { script: 'echo "$JOB $COPY $VERSION $1" > ran', args: ['it\'s "fine" $x'] };
    return {
      loader: new BuiltinRecipeLoader(),
      good: {
        recipe: 'script',
        options,
        ran: () =>
          existsSync(join(folder, 'ran')) &&
          readFileSync(join(folder, 'ran'), 'utf8') === 'web web.1 1.4 it\'s "fine" $x\n',
      },
      bad: [
        { recipe: 'script', options: {} },
        { recipe: 'script', options: { script: 'true', scirpt: 1 } },
      ],
      context,
      cleanUp,
    };
  };
  for (const { name, run } of recipeLoaderSuite(make)) await t.test(name, async (t) => run(t));

  await t.test('a script that fails says with what', async (t) => {
    const { context, cleanUp } = place();
    const factory = await new BuiltinRecipeLoader().load('script', { script: 'echo no room >&2; exit 4' });
    await t.rejects(factory?.(context({ script: 'echo no room >&2; exit 4' })).runDeploy() ?? Promise.resolve(), {
      message: /exited with code 4: no room/,
    });
    await cleanUp();
  });
});

t.test('recipes-module', async (t) => {
  const make = async (): Promise<LoaderUnderTest> => {
    const { folder, context, cleanUp } = place();
    writeFileSync(join(folder, 'good.ts'), CLASS);
    writeFileSync(join(folder, 'broken.ts'), 'export default class {');
    writeFileSync(join(folder, 'throws.js'), 'throw new Error("at load")');
    writeFileSync(join(folder, 'empty.ts'), 'export const other = 1;');
    return {
      loader: new ModuleRecipeLoader([folder]),
      good: { recipe: './good.ts', options: { text: 'here' }, ran: () => existsSync(join(folder, 'ran')) },
      bad: ['./broken.ts', './throws.js', './empty.ts', './nowhere.ts'].map((recipe) => ({ recipe, options: {} })),
      context,
      cleanUp,
    };
  };
  for (const { name, run } of recipeLoaderSuite(make)) await t.test(name, async (t) => run(t));

  await t.test('every form of export, in TypeScript, JavaScript and as a package', async (t) => {
    const { folder, context, cleanUp } = place();
    const write = (text: string): string =>
      `{ runDeploy: async () => { await context.remote.write('${text}', '${text}'); } }`;
    mkdirSync(join(folder, 'node_modules', 'acme-recipe'), { recursive: true });
    const files: Record<string, string> = {
      'function.js': `export default (context) => (${write('function')});`,
      'named.ts': CLASS.replace('export default class', 'export class recipe').replaceAll("'ran'", "'named'"),
      'only.ts': CLASS.replace('export default class', 'export class Only').replaceAll("'ran'", "'only'"),
      'common.cjs': `module.exports = (context) => (${write('common')});`,
      'node_modules/acme-recipe/package.json':
        '{"name":"acme-recipe","version":"1.0.0","type":"module","exports":"./index.js"}',
      'node_modules/acme-recipe/index.js': `export default (context) => (${write('package')});`,
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const loader: RecipeLoader = new ModuleRecipeLoader([folder]);
    for (const [recipe, made] of [
      ['./function.js', 'function'],
      ['named.ts', 'named'],
      [join(folder, 'only.ts'), 'only'],
      ['./common.cjs', 'common'],
      ['acme-recipe', 'package'],
    ] as const) {
      await (await loader.load(recipe, {}))?.(context({})).runDeploy();
      t.ok(existsSync(join(folder, made)), recipe);
    }
    t.equal(
      await loader.load('no-such-package', {}),
      undefined,
      'a package that is not there may be the name of another loader',
    );
    await cleanUp();
  });

  await t.test('a file that has changed is loaded afresh', async (t) => {
    const { folder, context, cleanUp } = place();
    const file = join(folder, 'deploy.ts');
    const loader: RecipeLoader = new ModuleRecipeLoader([folder]);
    for (const [n, text] of ['first', 'second'].entries()) {
      writeFileSync(file, CLASS.replace('String(this.options.text)', `'${text}'`));
      utimesSync(file, 1000 + n, 1000 + n);
      await (await loader.load('./deploy.ts', {}))?.(context({})).runDeploy();
      t.equal(readFileSync(join(folder, 'ran'), 'utf8'), text);
    }
    await cleanUp();
  });
});
