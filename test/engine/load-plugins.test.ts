import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon } from '../../core/engine/create-daemon.ts';
import { loadPlugins } from '../../core/engine/load-plugins.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { readSettings } from '../../core/engine/read-settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-plugins-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
let n = 0;

/** A plugins.json of the test's own, and the modules that it names. */
function list(plugins: object[] | string, modules: Record<string, string> = {}): string {
  const own = join(folder, String(n++));
  mkdirSync(own);
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(own, name), text);
  const file = join(own, 'plugins.json');
  writeFileSync(file, typeof plugins === 'string' ? plugins : JSON.stringify({ plugins }));
  return file;
}

const module = (change = ''): string => `

import { definePlugin, z } from 'cerebro/plugin';
const empty = { name: 'mine', start: async () => {}, stop: async () => {}, load: async () => undefined };
export const plugin = definePlugin({
  id: 'mine', point: 'recipe-loader', config: z.strictObject({ colour: z.string().default('blue') }), needs: ['clock'],
  create: ({ clock }, config) => ({ ...empty, clock, config }), ${change}
});
`;

t.test("another's plugin in TypeScript loads, with its configuration checked and its defaults filled in", async (t) => {
  const [loaded] = await loadPlugins(list([{ use: './mine.ts' }], { 'mine.ts': module() }), 'cluster');
  t.match(loaded, { use: './mine.ts', config: { colour: 'blue' } });
  t.equal(loaded?.definition.id, 'mine');
});

t.test('a plugin is loaded in its modes only', async (t) => {
  const file = list([{ use: './mine.ts', modes: ['machine'] }], { 'mine.ts': module() });
  t.equal((await loadPlugins(file, 'cluster')).length, 0);
  t.equal((await loadPlugins(file, 'machine')).length, 1);
});

t.test("the package's own list loads in both modes", async (t) => {
  const file = join(packageRoot, 'plugins.json');
  t.ok((await loadPlugins(file, 'cluster')).length >= 4);
  t.ok((await loadPlugins(file, 'machine')).length >= 1);
});

const refused: [string, string, RegExp][] = [
  ['a list that is no JSON', list('{'), /is not JSON/],
  ['a list with an unknown key', list('{"plugins":[],"plugin":[]}'), /plugin/],
  [
    'an entry with an unknown key',
    list([{ use: './mine.ts', mode: 'cluster' }], { 'mine.ts': module() }),
    /plugins\.0.*mode/,
  ],
  ['a plugin that is not there', list([{ use: './nobody' }]), /plugins\.0 \(\.\/nobody\): there is no such plugin/],
  [
    'a package that is not there',
    list([{ use: 'no-such-package-here' }]),
    /plugins\.0 \(no-such-package-here\): cannot be loaded/,
  ],
  [
    'a module without a plugin',
    list([{ use: './mine.ts' }], { 'mine.ts': 'export const other = 1;' }),
    /exports no "plugin"/,
  ],
  [
    'a plugin that is no plugin',
    list([{ use: './mine.ts' }], { 'mine.ts': 'export const plugin = {};' }),
    /not made by definePlugin/,
  ],
  [
    'a module that throws',
    list([{ use: './mine.ts' }], { 'mine.ts': 'throw new Error("broken at load")' }),
    /cannot be loaded: broken at load/,
  ],
  [
    'another version of the contracts',
    list([{ use: './mine.ts' }], { 'mine.ts': module('apiVersion: 99') }),
    /plugin "mine" was made for version 99/,
  ],
  [
    'an unknown extension point',
    list([{ use: './mine.ts' }], { 'mine.ts': module("point: 'recipe-loder'") }),
    /no extension point "recipe-loder"; did you mean "recipe-loader"/,
  ],
  [
    'the same id twice',
    list([{ use: './a.ts' }, { use: './b.ts' }], { 'a.ts': module(), 'b.ts': module() }),
    /the id "mine" is taken by \.\/a\.ts/,
  ],
  [
    'an unknown key in config',
    list([{ use: './mine.ts', config: { color: 'red' } }], { 'mine.ts': module() }),
    /plugin "mine": config\.color: unknown key; did you mean "colour"/,
  ],
  [
    'a wrong value in config',
    list([{ use: './mine.ts', config: { colour: 7 } }], { 'mine.ts': module() }),
    /plugin "mine": config\.colour: /,
  ],
];

for (const [name, file, sentence] of refused) {
  t.test(`refused at boot: ${name}`, async (t) => {
    await t.rejects(loadPlugins(file, 'cluster'), { code: 'plugin', message: sentence });
  });
}

async function boot(file: string): Promise<void> {
  const daemon = await createDaemon({
    mode: 'cluster',
    settings: readSettings(undefined, { data_dir: join(folder, `data-${n++}`) }),
    pluginsFile: file,
    logFile: join(folder, 'log'),
    portFallback: true,
    onStopRequested: () => undefined,
  });
  await daemon.start();
  await daemon.stop();
}

const store = { use: join(packageRoot, 'plugins', 'store-lmdb') };

t.test('a plugin that throws in create stops the boot with its name', async (t) => {
  const broken = module("create: () => { throw new Error('no hands') }");
  await t.rejects(boot(list([store, { use: './mine.ts' }], { 'mine.ts': broken })), {
    message: /plugin "mine" \(\.\/mine\.ts\) could not be created: no hands/,
  });
});

t.test('a plugin that throws in start stops the boot with its name, and what was started is stopped', async (t) => {
  const broken = module("create: () => ({ ...empty, start: async () => { throw new Error('no legs') } })");
  await t.rejects(boot(list([store, { use: './mine.ts' }], { 'mine.ts': broken })), {
    message: /plugin "mine" \(\.\/mine\.ts\) could not be started: no legs/,
  });
});

t.test('a plugin that needs what there is not is told what there is', async (t) => {
  await t.rejects(boot(list([store, { use: './mine.ts' }], { 'mine.ts': module("needs: ['database']") })), {
    message: /plugin "mine" .* needs "database".*there are clock/,
  });
});

t.test('a cluster sitter without a store, or with two, does not start', async (t) => {
  await t.rejects(boot(list([])), { message: /needs one state-store, plugins\.json lists none/ });
});

t.test('a plugin sees exactly what it names', async (t) => {
  const nosy = module(
    "needs: ['clock'], create: (services) => { if (Object.keys(services).join() !== 'clock') throw new Error(Object.keys(services).join()); return empty; }",
  );
  await boot(list([store, { use: './mine.ts' }], { 'mine.ts': nosy }));
  t.ok(true, 'it started');
});
