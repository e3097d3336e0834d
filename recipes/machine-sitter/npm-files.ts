import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { filesUnder } from './files-under.ts';
import { exportTargets, type ImportKind } from './package-exports.ts';
import type { PackedFile } from './packed-files.ts';

const manifest = z.object({
  name: z.string().optional(),
  main: z.string().optional().catch(undefined), // some say false
  exports: z.unknown().optional(),
  imports: z.unknown().optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** Files that nobody needs who only runs a package, also where it is taken whole. */
const UNNEEDED = /\.(d\.[mc]?ts|[mc]?ts|map|md|markdown|flow)$/i;
const ASIDE = /^(test|tests|__tests__|bench|benchmark|benchmarks|doc|docs|example|examples|coverage|\.[^/]*)\//i;
const CODE = /\.[mc]?js$/;
const ENDINGS = ['', '.js', '.json', '.cjs', '.mjs', '.node', '/index.js', '/index.json'];

const IMPORTED = /\b(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g;
const REQUIRED = /\brequire(?:\.resolve)?\s*\(\s*(['"])([^'"\n]+)\1/g;
/** What loads something by a name that it makes up, or looks for files beside its own. */
const MADE_UP =
  /\b(?:require(?:\.resolve)?|import)\s*\(\s*[^'"\s)]|\b__dirname\b|\bimport\.meta\.(?:url|resolve|dirname)\b|\bnew Worker\s*\(/;

/** An npm package, and its place in what is packed. */
interface Placed {
  /** Absolute. */
  folder: string;
  /** `node_modules/NAME`, inside of another package's place where that needs another version; empty: the program itself. */
  place: string;
  manifest: z.infer<typeof manifest>;
  whole: boolean;
}

interface Request {
  /** As it stands in the code: `koa`, `zod/v4`, `@koa/router`. */
  name: string;
  kind: ImportKind;
  by: Placed;
}

/**
 * The files of npm packages that a program can load, followed from what it names through every `require` and `import`: packages ship other
 * builds, sources and tests besides, which are most of their files. A package that makes up names of what it loads is taken whole, with all that
 * it depends on.
 */
export class NpmFiles {
  readonly #program: Placed;
  readonly #placed = new Map<string, Placed>();
  /** By their place. */
  readonly #files = new Map<string, PackedFile>();
  readonly #requests: Request[] = [];

  /** `root` is the folder of the program's package.json. */
  constructor(root: string) {
    this.#program = { folder: root, place: '', manifest: manifest.parse({}), whole: false };
  }

  /** All files that are reached from what the program names. In order: what it names itself has the first places, as npm would have it. */
  async reachedFrom(names: readonly { name: string; kind: ImportKind }[]): Promise<PackedFile[]> {
    for (const { name, kind } of names) this.#requests.push({ name, kind, by: this.#program });
    for (const request of this.#requests) await this.#answer(request);
    return [...this.#files.values()];
  }

  async #answer({ name, kind, by }: Request): Promise<void> {
    const [, packageName = '', rest = ''] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(name) ?? [];
    const found = this.#find(packageName, by);
    if (!found) return; // an optional one that is not installed
    const { folder, manifest } = found;
    if (manifest.exports !== undefined) {
      const targets = exportTargets(manifest.exports, `.${rest}`, kind);
      for (const target of targets) await this.#reach(found, fileAt(join(folder, target)));
    } else {
      await this.#reach(found, fileAt(rest === '' ? mainOf(folder, manifest.main) : join(folder, rest)));
    }
  }

  #find(name: string, by: Placed): Placed | undefined {
    const folder = findPackage(name, by.folder);
    if (folder === undefined) return undefined;
    const top = join('node_modules', name);
    const place = (this.#placed.get(top)?.folder ?? folder) === folder ? top : join(by.place, 'node_modules', name);
    const known = this.#placed.get(place);
    if (known) return known;
    const made = { folder, place, manifest: manifestOf(folder), whole: false };
    this.#placed.set(place, made);
    return made;
  }

  async #reach(by: Placed, path: string | undefined): Promise<void> {
    if (path === undefined || !path.startsWith(`${by.folder}/`)) return;
    const to = join(by.place, relative(by.folder, path));
    if (this.#files.has(to)) return;
    this.#files.set(to, { from: path, to });
    // Of which kind a file is stands in the nearest package.json above it.
    for (let folder = dirname(path); folder.startsWith(by.folder); folder = dirname(folder))
      await this.#reach(by, fileAt(join(folder, 'package.json')));
    if (!CODE.test(path)) return;
    const text = readFileSync(path, 'utf8');
    for (const [, , name = ''] of text.matchAll(IMPORTED)) await this.#follow(by, path, name, 'import');
    for (const [, , name = ''] of text.matchAll(REQUIRED)) await this.#follow(by, path, name, 'require');
    if (MADE_UP.test(text)) await this.#takeWhole(by);
  }

  async #follow(by: Placed, path: string, name: string, kind: ImportKind): Promise<void> {
    if (name.startsWith('.')) await this.#reach(by, moduleAt(join(dirname(path), name)));
    else if (name.startsWith('#')) {
      for (const target of exportTargets(by.manifest.imports, name, kind)) {
        if (target.startsWith('.')) await this.#reach(by, fileAt(join(by.folder, target)));
        else this.#requests.push({ name: target, kind, by });
      }
    } else if (!isBuiltin(name)) this.#requests.push({ name, kind, by });
  }

  async #takeWhole(by: Placed): Promise<void> {
    if (by.whole) return;
    by.whole = true;
    for (const path of await filesUnder(by.folder, (name) => name !== 'node_modules'))
      if (!UNNEEDED.test(path) && !ASIDE.test(relative(by.folder, path))) await this.#reach(by, path);
    const { dependencies, optionalDependencies } = by.manifest;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
      for (const kind of ['import', 'require'] as const) this.#requests.push({ name, kind, by });
  }
}

function manifestOf(folder: string): z.infer<typeof manifest> {
  return manifest.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
}

function findPackage(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (folder === dirname(folder)) return undefined;
  }
}

/** What `require` makes of a path: a file with or without its ending, or the main file of a folder. */
function moduleAt(path: string): string | undefined {
  const inner = join(path, 'package.json');
  return fileAt(path) ?? (existsSync(inner) ? fileAt(mainOf(path, manifestOf(path).main)) : undefined);
}

function mainOf(folder: string, main: string | undefined): string {
  return fileAt(join(folder, main ?? 'index.js')) ?? join(folder, 'index.js');
}

function fileAt(path: string): string | undefined {
  return ENDINGS.map((ending) => `${path}${ending}`).find(
    (candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile() === true,
  );
}
