import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { CerebroError } from '../../core/errors.ts';
import { filesUnder } from './files-under.ts';
import { NpmFiles } from './npm-files.ts';
import type { ImportKind } from './package-exports.ts';

/** A file of this host, and where it lies in the package. */
export interface PackedFile {
  from: string;
  to: string;
}

const manifest = z.object({ version: z.string(), dependencies: z.record(z.string(), z.string()).default({}) });

const pluginList = z.object({
  plugins: z.array(z.looseObject({ use: z.string(), modes: z.array(z.string()).optional() })),
});

/** Half of the program that no machine runs: whoever asks for it there is told so (`core/engine/mode-parts.ts`). */
const NOT_THERE: ReadonlySet<string> = new Set(['core/engine/cluster-parts.js']);
const RELATIVE_IMPORT = /(?:from|import\(|import)\s*['"](\.[^'"]+)['"]/g;

/**
 * Everything that a machine sitter needs to run, of the program whose package is in `root`: the compiled files that it can reach by
 * imports, the plugins for machines, the templates, and of the npm packages that those files name what they can reach of them.
 */
export async function packedFiles(
  root: string,
): Promise<{ files: PackedFile[]; pluginsJson: string; version: string }> {
  const { dependencies, version } = manifest.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  const plugins = machinePlugins(root);
  const ours = reachable(root, ['core/main.js', ...plugins.entries]);
  const files: PackedFile[] = ours.map(({ path }) => ({ from: path, to: relative(root, path) }));
  for (const path of [
    join(root, 'package.json'),
    join(root, 'LICENSE'),
    ...(await filesUnder(join(root, 'bin'))),
    ...(await filesUnder(join(root, 'templates'))),
  ])
    if (existsSync(path)) files.push({ from: path, to: relative(root, path) });
  const named = namedPackages(Object.keys(dependencies), ours);
  files.push(...(await new NpmFiles(root).reachedFrom(named)));
  return { files, pluginsJson: plugins.json, version };
}

/** What of npm packages stands in our files: as an import, or as a path in one (`find('htmx.org/dist/htmx.min.js')`). */
function namedPackages(
  packages: readonly string[],
  ours: readonly { text: string }[],
): { name: string; kind: ImportKind }[] {
  const escaped = packages.map((name) => name.replaceAll('.', '\\.')).join('|');
  const literal = new RegExp(`((?:from|import\\(|import)\\s*)?'((?:${escaped})(/[^']+)?)'`, 'g');
  const found = new Map<string, { name: string; kind: ImportKind }>();
  for (const { text } of ours)
    for (const [, imported, name = '', path] of text.matchAll(literal)) {
      if (imported === undefined && path === undefined) continue; // a word that is also a package's name
      const kind = imported === undefined ? 'require' : 'import';
      found.set(`${kind} ${name}`, { name, kind });
    }
  return [...found.values()];
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
    if (found.has(path) || NOT_THERE.has(relative(join(root, 'dist'), path))) continue;
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
