import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FORMAT } from '../../core/engine/data-format.ts';
import { packageRoot } from '../../core/engine/package-root.ts';

/** What becomes of a release's daemon, which passes every check before its start. */
const FLAWS = {
  ends: `console.error('cerebro: the stars are not right'); process.exit(7);`,
  /** Its files have a newer form, and it ends when it has taken the data folder, before it is up. */
  'newer-files': `
    const { readFileSync, writeFileSync } = await import('node:fs');
    for (const [name, from, to] of [
      ['engine/data-format.js', 'DATA_FORMAT = ${DATA_FORMAT};', 'DATA_FORMAT = ${DATA_FORMAT + 1};'],
      ['machine/vitals.js', 'async start() {', "async start() { throw new Error('the stars are not right');"],
    ]) {
      const path = new URL(name, import.meta.url);
      const text = readFileSync(path, 'utf8');
      if (!text.includes(from)) throw new Error(name + ' has no ' + from);
      writeFileSync(path, text.replace(from, to));
    }
    await import('./whole-main.js');`,
  hangs: `process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); await new Promise(() => undefined);`,
} as const;

/** The built program once more, in a folder of its own, as another version of it; `flaw`: its daemon does not come up. */
export function makeRelease(folder: string, version: string, flaw?: keyof typeof FLAWS): string {
  mkdirSync(folder, { recursive: true });
  for (const name of ['bin', 'templates', 'plugins.json'])
    cpSync(join(packageRoot, name), join(folder, name), { recursive: true });
  execFileSync('cp', ['-a', join(packageRoot, 'dist'), folder]);
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }));
  if (flaw === undefined) return folder;
  const main = join(folder, 'dist', 'core', 'main.js');
  renameSync(main, join(folder, 'dist', 'core', 'whole-main.js'));
  rmSync(main, { force: true });
  const harmless = `process.argv.some((word) => ['--check', 'install-service'].includes(word))`;
  writeFileSync(main, `if (${harmless}) await import('./whole-main.js'); else { ${FLAWS[flaw]} }\n`);
  return folder;
}
