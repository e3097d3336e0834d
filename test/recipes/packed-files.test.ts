import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { NpmFiles } from '../../recipes/machine-sitter/npm-files.ts';
import { exportTargets } from '../../recipes/machine-sitter/package-exports.ts';

function tree(folder: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const reached = async (root: string, ...names: string[]): Promise<string[]> =>
  (await new NpmFiles(root).reachedFrom(names.map((name) => ({ name, kind: 'import' as const }))))
    .map(({ to }) => to.replace(/^node_modules\//, ''))
    .sort();

t.test('of a package comes what is reached by imports, and nothing besides', async (t) => {
  const root = tree(t.testdir(), {
    'node_modules/a/package.json': '{"main": "lib", "types": "x.d.ts", "version": "1.0.0"}',
    'node_modules/a/lib/index.js': `const x = require('./x'); const fs = require('fs'); require("b/deep"); require('missing')`,
    'node_modules/a/lib/x.json': '{}',
    'node_modules/a/lib/y.js': '// nobody asks for it',
    'node_modules/a/lib/index.d.ts': '',
    'node_modules/a/test/index.js': '',
    'node_modules/b/package.json': '{}',
    'node_modules/b/deep.js': `import('./later.js')`,
    'node_modules/b/later.js': '',
    'node_modules/b/index.js': '',
    'node_modules/unasked/package.json': '{}',
    'node_modules/unasked/index.js': '',
  });
  t.same(await reached(root, 'a'), [
    'a/lib/index.js',
    'a/lib/x.json',
    'a/package.json',
    'b/deep.js',
    'b/later.js',
    'b/package.json',
  ]);
});

t.test(
  'one that makes up names of what it loads is taken whole, with what it depends on, but without its tests',
  async (t) => {
    const root = tree(t.testdir(), {
      'node_modules/a/package.json': '{"dependencies": {"b": "1"}, "optionalDependencies": {"not-here": "1"}}',
      'node_modules/a/index.js': 'exports.load = (name) => require(name);',
      'node_modules/a/lib/plugin.js': '',
      'node_modules/a/lib/worker.txt': '',
      'node_modules/a/test/plugin.js': '',
      'node_modules/a/docs/index.md': '',
      'node_modules/b/package.json': '{}',
      'node_modules/b/index.js': '',
      'node_modules/b/aside.js': '',
    });
    const wanted = [
      'a/index.js',
      'a/lib/plugin.js',
      'a/lib/worker.txt',
      'a/package.json',
      'b/index.js',
      'b/package.json',
    ];
    t.same(await reached(root, 'a'), wanted);
  },
);

t.test(
  'files are found as Node finds them: by kind, by version, by the nearest package.json, through links',
  async (t) => {
    const root = tree(t.testdir(), {
      'node_modules/a/package.json': `{"exports": {".": {"import": "./esm/index.js", "require": "./cjs/index.js"}, "./part/*": "./cjs/*.js"}}`,
      'node_modules/a/esm/package.json': '{"type": "module"}',
      'node_modules/a/esm/index.js': `import c from 'c'; export * from "d";`,
      'node_modules/a/cjs/index.js': '',
      'node_modules/a/cjs/one.js': '',
      'node_modules/a/node_modules/c/package.json': '{"version": "2.0.0"}',
      'node_modules/a/node_modules/c/index.js': '',
      'node_modules/c/package.json': '{"version": "1.0.0"}',
      'node_modules/c/index.js': '',
      'store/d/package.json': '{"imports": {"#x": "./x.js"}, "main": false}',
      'store/d/index.js': `import '#x';`,
      'store/d/x.js': '',
    });
    symlinkSync(join(root, 'store/d'), join(root, 'node_modules/d'));
    t.same(await reached(root, 'c', 'a', 'a/part/one'), [
      'a/cjs/one.js',
      'a/esm/index.js',
      'a/esm/package.json',
      'a/node_modules/c/index.js',
      'a/node_modules/c/package.json',
      'a/package.json',
      'c/index.js',
      'c/package.json',
      'd/index.js',
      'd/package.json',
      'd/x.js',
    ]);
  },
);

t.test('exports: the first condition that holds counts', async (t) => {
  const exports = {
    '.': { types: './t.d.ts', browser: './b.js', node: { require: './n.cjs', default: './n.js' }, default: './d.js' },
    './off': null,
    './lib/*': './dist/*/index.js',
    './lib/own/*.js': './own/*.js',
    './new': { 'module-sync': './sync.js', import: './new.js' },
  };
  const targets = (subpath: string, kind: 'import' | 'require' = 'import'): string[] =>
    exportTargets(exports, subpath, kind);
  t.same(targets('.'), ['./n.js']);
  t.same(targets('.', 'require'), ['./n.cjs']);
  t.same(targets('./off'), []);
  t.same(targets('./nothing'), []);
  t.same(targets('./lib/x/y'), ['./dist/x/y/index.js']);
  t.same(targets('./lib/own/z.js'), ['./own/z.js']);
  t.same(targets('./new'), ['./sync.js', './new.js'], 'which of them a Node takes depends on its version');
  t.same(exportTargets('./only.js', '.', 'require'), ['./only.js']);
  t.same(exportTargets({ import: './m.js' }, '.', 'require'), []);
});
