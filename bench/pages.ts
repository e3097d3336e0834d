import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { daemonApp } from '../core/http/daemon-app.ts';
import { Auth } from '../core/http/doors/auth.ts';
import { HttpServer } from '../core/http/doors/http-server.ts';
import { Pages } from '../core/http/pages/pages.ts';
import { UiDashboard } from '../plugins/ui-dashboard/ui-dashboard.ts';
import { UiSettings } from '../plugins/ui-settings/ui-settings.ts';
import type { FakeClusterApi } from '../test/fakes/fake-cluster-api.ts';
import { largeCluster } from '../test/fakes/large-cluster.ts';
import { silentLogger } from '../test/fakes/silent-logger.ts';
import { milliseconds, percentile, type Row, table } from './pages-table.ts';

/** How long a page takes from request to last byte, and how large it is, over clusters of three sizes (bench/README.md). */
const SIZES = [10, 1000, 10_000];
const COPIES_OF_MACHINE = 10;
const ROUNDS = 30;
const WARM_UP = 5;
const TOKEN = randomBytes(12).toString('hex');
const templates = join(import.meta.dirname, '..', 'templates');

const rows: Row[] = [];
for (const machines of SIZES) {
  const api = largeCluster({ machines, copies: machines * COPIES_OF_MACHINE });
  const { ask, close } = await serve(api);
  const paths = ['/', '/jobs', '/machines', '/jobs/job-0', '/machines/machine-0', '/events', '/search?q=job-1'];
  for (const path of paths) {
    const times: number[] = [];
    let size = { bytes: 0, compressed: 0 };
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      const from = performance.now();
      size = await ask(path);
      if (round >= 0) times.push(performance.now() - from);
    }
    rows.push({
      machines,
      path,
      median: percentile(times, 0.5),
      p95: percentile(times, 0.95),
      ...size,
    });
  }
  await close();
}
console.log(process.argv.includes('--json') ? JSON.stringify(rows) : table(rows));
console.log(`\nexpected: the overview of 1000 machines in ${milliseconds(100)} ms and 150 KB over the line`);

interface Served {
  ask(path: string): Promise<{ bytes: number; compressed: number }>;
  close(): Promise<void>;
}

/** The real app, pages, templates and sign-in over a cluster that only remembers. */
async function serve(api: FakeClusterApi): Promise<Served> {
  const auth = new Auth({ token: TOKEN, sessionKey: randomBytes(32), name: 'bench' });
  const find = createRequire(import.meta.url).resolve;
  const assets = { 'htmx.min.js': { path: find('htmx.org/dist/htmx.min.js'), type: 'text/javascript' } };
  const pages = new Pages({
    plugins: [new UiDashboard(), new UiSettings()],
    api,
    auth,
    logger: silentLogger,
    templates,
    assets,
  });
  const before = [pages.middleware()];
  const app = daemonApp({
    title: 'bench',
    version: '0',
    auth,
    logger: silentLogger,
    routes: [],
    ready: () => true,
    before,
  });
  const server = new HttpServer(app);
  const base = await server.listen('127.0.0.1', 0);
  await pages.start();
  return {
    ask: async (path) => {
      const answer = await fetch(base + path, { headers: { authorization: `Bearer ${TOKEN}` } });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      // What came over the line; fetch unpacks it.
      const compressed = Number(answer.headers.get('content-length'));
      return { bytes: Buffer.byteLength(await answer.text()), compressed };
    },
    close: async () => {
      await pages.stop();
      await server.close();
    },
  };
}
