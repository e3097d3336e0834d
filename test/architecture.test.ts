import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { packageRoot } from '../core/engine/package-root.ts';

/** Who may import whom, by room; a room may always import itself. `cli` and `main` are the outermost. */
const ALLOWED: Record<string, readonly string[]> = {
  'core/errors': [],
  'core/model': ['core/errors'],
  'core/contracts': ['core/model', 'core/errors'],
  'core/define-plugin': ['core/contracts', 'core/model', 'core/errors'],
  'core/plugin-api': ['core/define-plugin', 'core/contracts', 'core/model', 'core/errors'],
  'core/decide': ['core/contracts', 'core/model', 'core/errors'],
  'core/cluster': ['core/decide', 'core/contracts', 'core/model', 'core/errors'],
  'core/machine': ['core/decide', 'core/contracts', 'core/model', 'core/errors'],
  'core/http': ['core/cluster', 'core/machine', 'core/decide', 'core/contracts', 'core/model', 'core/errors'],
  'core/engine': [
    'core/http',
    'core/cluster',
    'core/machine',
    'core/decide',
    'core/define-plugin',
    'core/contracts',
    'core/model',
    'core/errors',
  ],
  'core/cli': [
    'core/engine',
    'core/http',
    'core/machine',
    'core/define-plugin',
    'core/contracts',
    'core/model',
    'core/errors',
  ],
  'core/main': ['core/cli', 'core/errors'],
  plugins: ['core/model', 'core/contracts', 'core/errors', 'core/define-plugin'],
  providers: ['core/model', 'core/contracts', 'core/errors', 'core/define-plugin'],
  recipes: ['core/model', 'core/contracts', 'core/errors', 'core/define-plugin'],
};

/** What a pure decision must not touch: the world, the time, chance. */
const IMPURE = /from 'node:|\bDate\.now\(|Math\.random|\bnew Date\(\)|setTimeout|setInterval|process\./;

/** What providers share, and recipes: no plugins themselves. */
const LIBRARIES: Record<string, readonly string[]> = {
  providers: ['providers/remotes/', 'recipes/machine-sitter/'],
  recipes: ['recipes/unpack.ts'],
};

const sources = ['core', 'plugins', 'providers', 'recipes']
  .flatMap(filesUnder)
  .map((path) => ({ path, text: readFileSync(join(packageRoot, path), 'utf8') }));

t.test('imports run in one direction', async (t) => {
  for (const { path, text } of sources) {
    const room = roomOf(path);
    for (const target of importsOf(path, text)) {
      const other = roomOf(target);
      const shared = LIBRARIES[room]?.some((library) => target.startsWith(library));
      const fine = shared || (other === room && sameFolder(room, path, target)) || ALLOWED[room]?.includes(other);
      if (!fine) t.fail(`${path} (${room}) imports ${target} (${other})`);
    }
  }
  t.ok(sources.length > 60, 'there was something to look at');
});

t.test('the folders of a room import in no circles', async (t) => {
  const folders = new Map<string, Set<string>>();
  for (const { path, text } of sources.filter(({ path }) => path.startsWith('core/'))) {
    const own = dirname(path);
    for (const target of importsOf(path, text)) {
      const other = dirname(target);
      if (roomOf(target) !== roomOf(path) || other === own) continue;
      folders.set(own, (folders.get(own) ?? new Set()).add(other));
    }
  }
  t.ok(folders.size > 15, 'there was something to look at');
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    [...(folders.get(from) ?? [])].some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  for (const folder of folders.keys()) t.notOk(reaches(folder, folder), folder);
});

t.test('decisions are pure, and so are the nouns', async (t) => {
  for (const { path, text } of sources) {
    if (!path.startsWith('core/decide/') && !path.startsWith('core/model/')) continue;
    const found = IMPURE.exec(text);
    t.equal(found?.[0], undefined, path);
  }
});

t.test('only main.ts listens to signals and ends the process', async (t) => {
  for (const { path, text } of sources) if (path !== 'core/main.ts') t.notMatch(text, /process\.(on|exit)\(/, path);
});

t.test('a plugin folder has index.ts, schema.ts and README.md', async (t) => {
  const libraries = new Set(Object.values(LIBRARIES).flat());
  for (const place of ['plugins', 'providers', 'recipes']) {
    for (const entry of readdirSync(join(packageRoot, place), { withFileTypes: true })) {
      if (!entry.isDirectory() || libraries.has(`${place}/${entry.name}/`)) continue;
      const files = readdirSync(join(packageRoot, place, entry.name));
      for (const file of ['index.ts', 'schema.ts', 'README.md'])
        t.ok(files.includes(file), `${place}/${entry.name}/${file}`);
    }
  }
});

function filesUnder(folder: string): string[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(packageRoot, join(entry.parentPath, entry.name)));
}

function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => join(dirname(path), match[1] ?? ''));
}

function roomOf(path: string): string {
  const parts = path.replace(/\.ts$/, '').split('/');
  return parts[0] === 'core' ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

/** Plugins know nothing of each other. */
function sameFolder(room: string, from: string, to: string): boolean {
  return room.startsWith('core') || from.split('/')[1] === to.split('/')[1];
}
