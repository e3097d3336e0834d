import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** Whether this is the compiled program (dist/) or the source, run by a loader. */
export const compiled = import.meta.url.endsWith('.js');

/** The folder with Cerebro's own package.json, templates and plugins.json. */
export const packageRoot = findRoot(here);

export const packageVersion = String(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version);

/** The folder under which this very code runs: `dist`, or the package itself. */
export const codeRoot = compiled ? join(packageRoot, 'dist') : packageRoot;

/** Where a source file of ours is as it runs now: `ROOT/providers/local` -> `ROOT/dist/providers/local`. Other paths stay. */
export function asItRuns(path: string): string {
  const inside = relative(packageRoot, path);
  const ours = /^(core|plugins|providers|recipes)(\/|$)/.test(inside);
  return ours ? join(codeRoot, inside) : path;
}

/** Program and first arguments that start this program again. */
export function selfCommand(pluginsFile: string | undefined): string[] {
  const loader = compiled ? [] : ['--import', import.meta.resolve('tsx')];
  const main = join(codeRoot, 'core', compiled ? 'main.js' : 'main.ts');
  return [process.execPath, ...loader, main, ...(pluginsFile === undefined ? [] : ['--plugins', pluginsFile])];
}

function findRoot(from: string): string {
  const manifest = join(from, 'package.json');
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'cerebro') return from;
  return findRoot(dirname(from));
}
