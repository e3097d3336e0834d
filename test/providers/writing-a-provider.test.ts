import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { MachineProvider } from '../../core/contracts/machine-provider.ts';
import { createPlugins, loadPlugins, pluginsFor } from '../../core/engine/load-plugins.ts';
import { noIdentities } from '../../core/engine/no-identities.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { run } from '../e2e/embedded-cluster.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { machineProviderSuite, type ProviderUnderTest } from '../suites/index.ts';

const page = readFileSync(join(packageRoot, 'docs', 'writing-a-provider.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'cerebro-acme-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

/** The page's code, as files where it says that they are. */
const home = join(folder, 'providers', 'acme');
mkdirSync(home, { recursive: true });
const blocks = [...page.matchAll(/^```ts file=(\S+)\n([\s\S]*?)^```$/gm)];
for (const [, file = '', code = ''] of blocks) writeFileSync(join(home, file), code);
writeFileSync(join(folder, 'acme.token'), 'a-token\n');
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');

interface Machine {
  id: string;
  zone: string;
  state: 'making' | 'on' | 'off' | 'deleted';
  ip: string | null;
  labels: Record<string, string>;
}

/** The vendor of the page. */
class Vendor {
  readonly machines = new Map<string, Machine>();
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request).then(
      ([status, body]) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      () => response.destroy(),
    );
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<[status: number, body: unknown]> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    if (request.headers.authorization !== 'Bearer a-token') return [401, {}];
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://vendor');
    if (request.method === 'POST') return [200, this.#make(JSON.parse(text))];
    if (request.method === 'DELETE') {
      const found = [...this.machines.values()].find(({ id }) => pathname.endsWith(id));
      if (found) Object.assign(found, { state: 'deleted', ip: null });
      return [found ? 200 : 404, {}];
    }
    const wanted = [...searchParams];
    return [
      200,
      [...this.machines.values()].filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value)),
    ];
  }

  #make({ key, zone, labels }: { key: string; zone: string; labels: Record<string, string> }): Machine {
    const known = this.machines.get(key);
    if (known) return known;
    const made: Machine = { id: randomUUID(), zone, state: 'making', ip: null, labels };
    this.machines.set(key, made);
    setTimeout(() => {
      if (made.state === 'making') Object.assign(made, { state: 'on', ip: '127.0.0.1' });
    }, 100).unref();
    return made;
  }
}

async function make(): Promise<ProviderUnderTest> {
  const vendor = new Vendor();
  const config = { url: await vendor.listen(), token_file: join(folder, 'acme.token'), zones: ['east1'], poll: 0.05 };
  const list = join(folder, `plugins-${randomUUID()}.json`);
  writeFileSync(list, JSON.stringify({ plugins: [{ use: './providers/acme', modes: ['cluster'], config }] }));
  const loaded = await loadPlugins(list, 'cluster');
  const again = (): MachineProvider => {
    const plugins = createPlugins(loaded, () => ({
      clock: new SystemClock(),
      logger: silentLogger,
      processes: new ProcTable(),
      dataDir: folder,
      recipePath: [],
      identities: noIdentities,
      tasksGroup: '',
      selfCommand: [],
    }));
    const [provider] = pluginsFor(plugins, 'machine-provider');
    if (!provider) throw new Error('the page makes no provider');
    return provider;
  };
  return {
    provider: again(),
    zone: 'acme-east1',
    destroyBehindItsBack: async (machineId) => {
      for (const machine of vendor.machines.values())
        if (machine.labels.machine === machineId) machine.state = 'deleted';
    },
    again,
    cleanUp: () => vendor.close(),
  };
}

t.test('the code of the page is a provider', async (t) => {
  t.same(
    blocks.map(([, file]) => file),
    ['index.ts', 'acme-api.ts', 'acme-provider.ts'],
  );
  for (const { name, run } of machineProviderSuite(make)) {
    // The vendor of the page lets nobody onto its machines, and the page says so.
    if (name.startsWith('the remote ')) continue;
    await t.test(name, async (t) => run(t));
  }
});

t.test('the code of the page compiles as strictly as ours', async (t) => {
  const compilerOptions = {
    paths: { 'cerebro/plugin': [join(packageRoot, 'core', 'plugin-api.ts')] },
    rootDir: '/',
    noEmit: true,
  };
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  const project = join(folder, 'tsconfig.json');
  writeFileSync(
    project,
    JSON.stringify({ extends: join(packageRoot, 'tsconfig.json'), compilerOptions, include: ['providers'] }),
  );
  const tsc = join(packageRoot, 'node_modules', '.bin', 'tsc');
  // tap puts loaders of its own into every Node that a test starts.
  const plain = ['-u', 'NODE_OPTIONS', process.execPath, tsc, '-p', project];
  const { code, stdout, stderr } = await run('/usr/bin/env', plain, { PATH: process.env.PATH ?? '' }, folder);
  t.equal(code, 0, stdout + stderr);
});

t.test('the settings of the page are taken', async (t) => {
  const entry = JSON.parse(/^```json\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '');
  const list = join(folder, 'plugins-page.json');
  writeFileSync(list, JSON.stringify({ plugins: [entry] }));
  const [loaded] = await loadPlugins(list, 'cluster');
  t.equal(loaded?.definition.id, 'provider-acme');
});
