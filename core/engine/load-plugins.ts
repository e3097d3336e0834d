import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Jiti } from 'jiti';
import { z } from 'zod';
import type { PluginView } from '../contracts/cluster-api.ts';
import { didYouMean } from '../decide/words/nearest-names.ts';
import {
  API_VERSION,
  type ExtensionPoint,
  type ExtensionPoints,
  type Mode,
  type Plugin,
  type PluginServices,
} from '../define-plugin.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { CallWatch } from './call-watch.ts';
import { asItRuns, codeRoot, compiled } from './package-root.ts';

const pluginsFile = z.strictObject({
  $comment: z.string().optional(),
  plugins: z.array(
    z.strictObject({
      use: z.string().min(1),
      modes: z
        .array(z.enum(['machine', 'cluster']))
        .min(1)
        .default(['machine', 'cluster']),
      config: z.record(z.string(), z.unknown()).default({}),
    }),
  ),
});

const POINTS: readonly ExtensionPoint[] = [
  'machine-provider',
  'dns-provider',
  'limit-enforcer',
  'recipe-loader',
  'state-store',
  'ui',
  'machine-ui',
  'notifier',
];

export interface LoadedPlugin {
  definition: Plugin;
  use: string;
  config: unknown;
}

/** Reads plugins.json and every plugin that it lists for `mode`. Throws `plugin` with one line: which plugin, which file, which field. */
export async function loadPlugins(file: string, mode: Mode): Promise<LoadedPlugin[]> {
  const listed = readList(file);
  const loaded: LoadedPlugin[] = [];
  for (const [i, entry] of listed.plugins.entries()) {
    if (!entry.modes.includes(mode)) continue;
    const where = `${file}: plugins.${i} (${entry.use})`;
    const definition = await importPlugin(entry.use, file, where);
    const twin = loaded.find((other) => other.definition.id === definition.id);
    if (twin)
      throw new CerebroError(
        'plugin',
        `${where}: the id "${definition.id}" is taken by ${twin.use}; each plugin is loaded once`,
      );
    const result = definition.config.safeParse(entry.config);
    if (!result.success)
      throw new CerebroError(
        'plugin',
        `${where}: plugin "${definition.id}": ${configProblems(result.error, definition)}`,
      );
    loaded.push({ definition, use: entry.use, config: result.data });
  }
  return loaded;
}

function readList(file: string): z.infer<typeof pluginsFile> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CerebroError('plugin', `the list of plugins cannot be read: ${messageOf(error)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CerebroError('plugin', `${file} is not JSON: ${messageOf(error)}`);
  }
  const result = pluginsFile.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues
    .map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`)
    .join('; ');
  throw new CerebroError('plugin', `${file}: ${problems}`);
}

async function importPlugin(use: string, file: string, where: string): Promise<Plugin> {
  let module: unknown;
  try {
    module =
      use.startsWith('.') || isAbsolute(use)
        ? await importFile(resolve(dirname(file), use), where)
        : await importPackage(use, file);
  } catch (error) {
    if (error instanceof CerebroError) throw error;
    throw new CerebroError('plugin', `${where}: cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
  const plugin = typeof module === 'object' && module !== null && 'plugin' in module ? module.plugin : undefined;
  return checkDefinition(plugin, where);
}

async function importFile(path: string, where: string): Promise<unknown> {
  const runs = asItRuns(path);
  const candidates = [runs, `${runs}.js`, `${runs}.ts`, join(runs, 'index.js'), join(runs, 'index.ts')];
  const found = candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
  if (found === undefined)
    throw new CerebroError(
      'plugin',
      `${where}: there is no such plugin (looked for ${runs} and for index.js and index.ts in it)`,
    );
  return found.startsWith(codeRoot) && found.endsWith(compiled ? '.js' : '.ts')
    ? import(found)
    : (await jitiFrom(found)).import(found);
}

async function importPackage(name: string, file: string): Promise<unknown> {
  return (await jitiFrom(file)).import(name);
}

/** Loads what others wrote, TypeScript too; `cerebro/…` means this very program to it. Our own plugins do not need it, and most have no others. */
async function jitiFrom(path: string): Promise<Jiti> {
  const { createJiti } = await import('jiti');
  const ending = compiled ? 'js' : 'ts';
  return createJiti(path, {
    alias: {
      'cerebro/plugin': join(codeRoot, 'core', `plugin-api.${ending}`),
      'cerebro/recipe': join(codeRoot, 'core', 'contracts', `recipe.${ending}`),
    },
  });
}

function checkDefinition(plugin: unknown, where: string): Plugin {
  if (typeof plugin !== 'object' || plugin === null) {
    throw new CerebroError(
      'plugin',
      `${where}: exports no "plugin"; a plugin's module has "export const plugin = definePlugin({…})"`,
    );
  }
  const definition = plugin as Partial<Plugin>;
  if (
    typeof definition.id !== 'string' ||
    typeof definition.create !== 'function' ||
    !definition.config ||
    !Array.isArray(definition.needs)
  ) {
    throw new CerebroError(
      'plugin',
      `${where}: its "plugin" was not made by definePlugin: id, point, config, needs or create is missing`,
    );
  }
  const named = `${where}: plugin "${definition.id}"`;
  if (definition.apiVersion !== API_VERSION) {
    throw new CerebroError(
      'plugin',
      `${named} was made for version ${definition.apiVersion} of the contracts, this is version ${API_VERSION}`,
    );
  }
  if (!definition.point || !POINTS.includes(definition.point)) {
    throw new CerebroError(
      'plugin',
      `${named}: there is no extension point "${definition.point}"${didYouMean(String(definition.point), POINTS)}`,
    );
  }
  return definition as Plugin;
}

function configProblems(error: z.ZodError, definition: Plugin): string {
  const schema = z.toJSONSchema(definition.config, { io: 'input', unrepresentable: 'any' });
  const known = Object.keys(schema.properties ?? {});
  return error.issues
    .map((issue) => {
      const field = ['config', ...issue.path].join('.');
      if (issue.code !== 'unrecognized_keys') return `${field}: ${issue.message}`;
      return issue.keys.map((key) => `${field}.${key}: unknown key${didYouMean(key, known)}`).join('; ');
    })
    .join('; ');
}

/** A plugin's thing with what the engine has to know of it. */
export interface PluginInstance<P extends ExtensionPoint = ExtensionPoint> {
  id: string;
  point: P;
  use: string;
  instance: ExtensionPoints[P];
  state: PluginView['state'];
  /** How the calls to it go, where that is noted. */
  calls?: CallWatch;
}

/** Creates what the plugins define, giving each exactly the services that it names. */
export function createPlugins(
  loaded: readonly LoadedPlugin[],
  services: (id: string) => PluginServices,
): PluginInstance[] {
  return loaded.map(({ definition, use, config }) => {
    const all = services(definition.id);
    const given: Partial<PluginServices> = {};
    for (const need of definition.needs) {
      if (!(need in all)) {
        throw new CerebroError(
          'plugin',
          `plugin "${definition.id}" (${use}) needs "${need}", which there is not; there are ${Object.keys(all).join(', ')}`,
        );
      }
      Object.assign(given, { [need]: all[need] });
    }
    try {
      return {
        id: definition.id,
        point: definition.point,
        use,
        instance: definition.create(given, config),
        state: 'created',
      };
    } catch (error) {
      throw new CerebroError('plugin', `plugin "${definition.id}" (${use}) could not be created: ${messageOf(error)}`, {
        cause: error,
      });
    }
  });
}

/** The things of one extension point, in the order of plugins.json. */
export function pluginsFor<P extends ExtensionPoint>(
  plugins: readonly PluginInstance[],
  point: P,
): ExtensionPoints[P][] {
  return plugins
    .filter((plugin): plugin is PluginInstance<P> => plugin.point === point)
    .map((plugin) => plugin.instance);
}
