import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { CerebroError } from '../../core/errors.ts';

/** A file of this host, and where it lies in the package. */
export interface PackedFile {
  from: string;
  to: string;
}

const manifest = z.object({
  name: z.string(),
  version: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

const pluginList = z.object({
  plugins: z.array(z.looseObject({ use: z.string(), modes: z.array(z.string()).optional() })),
});

/** Files that nobody needs who only runs a package. */
const UNNEEDED = /\.(d\.[mc]?ts|[mc]?ts|map|md|markdown|flow)$/i;
const RELATIVE_IMPORT = /(?:from|import\(|import)\s*['"](\.[^'"]+)['"]/g;

/**
 * Everything that a machine sitter needs to run, of the program whose package is in `root`: the compiled files that it can reach by
 * imports, the plugins for machines, the templates, and the npm packages that those files name, with what these depend on.
 */
export async function packedFiles(
  root: string,
): Promise<{ files: PackedFile[]; pluginsJson: string; version: string }> {
  const { dependencies, version } = manifestOf(root);
  const plugins = machinePlugins(root);
  const ours = reachable(root, ['core/main.js', ...plugins.entries]);
  const named = Object.keys(dependencies).filter((name) =>
    ours.some(({ text }) => text.includes(`'${name}'`) || text.includes(`'${name}/`)),
  );
  const files: PackedFile[] = ours.map(({ path }) => ({ from: path, to: relative(root, path) }));
  for (const path of [
    'package.json',
    'LICENSE',
    ...(await filesUnder(join(root, 'bin'))),
    ...(await filesUnder(join(root, 'templates'))),
  ]) {
    const from = path.startsWith(root) ? path : join(root, path);
    if (existsSync(from)) files.push({ from, to: relative(root, from) });
  }
  files.push(...(await npmFiles(root, named)));
  return { files, pluginsJson: plugins.json, version };
}

function manifestOf(folder: string): z.infer<typeof manifest> {
  return manifest.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
}

/** plugins.json as a machine needs it, and the files that it names. */
function machinePlugins(root: string): { json: string; entries: string[] } {
  const { plugins } = pluginList.parse(JSON.parse(readFileSync(join(root, 'plugins.json'), 'utf8')));
  const ours = plugins.filter(({ use, modes }) => (modes?.includes('machine') ?? true) && use.startsWith('./'));
  return {
    json: JSON.stringify({ plugins: ours }, null, 2),
    entries: ours.map(({ use }) => join(use, 'index.js')),
  };
}

/** The compiled files that are reached from `entries`, with their text. */
function reachable(root: string, entries: readonly string[]): { path: string; text: string }[] {
  const found = new Map<string, string>();
  const open = entries.map((entry) => join(root, 'dist', entry));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    if (!existsSync(path)) {
      throw new CerebroError(
        'unsupported',
        `the program cannot be packed for machines: ${path} is not there; run "npm run build" in ${root}`,
      );
    }
    const text = readFileSync(path, 'utf8');
    found.set(path, text);
    for (const [, target = ''] of text.matchAll(RELATIVE_IMPORT)) open.push(join(dirname(path), target));
  }
  return [...found].map(([path, text]) => ({ path, text }));
}

/** The files of npm packages, each package where Node finds it from whoever asks for it. */
async function npmFiles(root: string, names: readonly string[]): Promise<PackedFile[]> {
  const files: PackedFile[] = [];
  /** Place in the package -> the folder that it is taken from. */
  const placed = new Map<string, string>();
  const open = names.map((name) => ({ name, from: root, place: '' }));
  // In the order in which they are named: what the program itself names has the first places, as npm would have it.
  for (const next of open) {
    const folder = findPackage(next.name, next.from);
    if (folder === undefined) continue; // an optional one that is not installed
    const top = join('node_modules', next.name);
    const place = (placed.get(top) ?? folder) === folder ? top : join(next.place, 'node_modules', next.name);
    if (placed.has(place)) continue;
    placed.set(place, folder);
    for (const path of await filesUnder(folder, true))
      if (!UNNEEDED.test(path)) files.push({ from: path, to: join(place, relative(folder, path)) });
    const { dependencies, optionalDependencies } = manifestOf(folder);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
      open.push({ name, from: folder, place });
  }
  return files;
}

function findPackage(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (folder === dirname(folder)) return undefined;
  }
}

/** Every file under a folder, absolute; `ownOnly`: not those of packages in it. */
async function filesUnder(folder: string, ownOnly = false): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isFile()) found.push(path);
    else if (entry.isDirectory() && !(ownOnly && entry.name === 'node_modules'))
      found.push(...(await filesUnder(path, ownOnly)));
  }
  return found;
}
