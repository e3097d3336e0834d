/**
 * How long a page takes to its first byte while fifty dashboards are open, over a real cluster sitter of 1,000 machines and 10,000
 * copies whose figures change all the time (bench/README.md). The floor is /healthz of the same daemon at the same time.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { daemonApp } from '../core/http/daemon-app.ts';
import { Auth } from '../core/http/doors/auth.ts';
import { HttpServer } from '../core/http/doors/http-server.ts';
import { Pages } from '../core/http/pages/pages.ts';
import { clusterRoutes } from '../core/http/routes/cluster-routes.ts';
import { UiDashboard } from '../plugins/ui-dashboard/ui-dashboard.ts';
import { UiDns } from '../plugins/ui-dns/ui-dns.ts';
import { UiSettings } from '../plugins/ui-settings/ui-settings.ts';
import { silentLogger } from '../test/fakes/silent-logger.ts';
import type { Click, Outcome } from './dashboard-clients.ts';
import { largeClusterSitter } from './large-cluster-sitter.ts';
import { milliseconds, percentile } from './pages-table.ts';

const flag = (name: string, preset: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? preset : Number(process.argv[at + 1]);
};
const MACHINES = flag('machines', 1000);
const COPIES = flag('copies', MACHINES * 10);
const OPEN = flag('open', 50);
const CLICKS = flag('clicks', 240);
const TOKEN = randomBytes(12).toString('hex');
const FLOOR = '/healthz';
const CLICKED = [
  FLOOR,
  '/',
  '/jobs',
  '/jobs/job-7',
  '/jobs/job-7/charts',
  '/copies/job-7.3',
  '/machines',
  '/machines/fake-a-1',
  '/alerts',
  '/events',
  '/dns',
  '/settings',
  '/settings/plugins',
  '/search?q=job-1',
  '/search?q=10.0.3',
];

/** What each page took of the processor, by path, in milliseconds: the figure that a busy host does not change. */
const cpu = new Map<string, number[]>();
const sitter = await largeClusterSitter({ machines: MACHINES, copies: COPIES });
const auth = new Auth({ token: TOKEN, sessionKey: randomBytes(32), name: 'bench', holders: sitter.tokens });
const pages = new Pages({
  plugins: [new UiDashboard(), new UiDns(), new UiSettings()],
  api: sitter.api,
  auth,
  logger: silentLogger,
  templates: join(import.meta.dirname, '..', 'templates'),
  assets: {},
  keepMs: 1000,
});
const app = daemonApp({
  title: 'bench',
  version: '0',
  auth,
  logger: silentLogger,
  routes: clusterRoutes(sitter.api, { down: async () => undefined }),
  ready: () => true,
  before: [
    async (ctx, next) => {
      const before = process.cpuUsage();
      await next();
      const { user, system } = process.cpuUsage(before);
      cpu.set(ctx.url, [...(cpu.get(ctx.url) ?? []).slice(-500), (user + system) / 1000]);
    },
    pages.middleware(),
  ],
});
const server = new HttpServer(app);
const base = await server.listen('127.0.0.1', 0);
await pages.start();
try {
  const quiet = await readers(0);
  const busy = await readers(OPEN);
  report(quiet, busy);
} finally {
  await pages.stop();
  await server.close();
  await sitter.stop();
}

/** What one reader waits for who clicks through the pages, beside so many open ones. */
async function readers(open: number): Promise<Outcome & { cpuShare: number }> {
  // Half of them look at the overview, as people do, the others each at something else.
  const looked = Array.from({ length: open }, (_, i) => (i % 2 === 0 ? '/' : `/jobs/job-${i}`));
  const child = fork(join(import.meta.dirname, 'dashboard-clients.ts'), [], { execArgv: ['--import', 'tsx'] });
  const from = { wall: performance.now(), cpu: process.cpuUsage() };
  const outcome = await new Promise<Outcome>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Outcome));
    child.once('exit', (code) => code !== 0 && reject(new Error(`the readers ended with ${code}`)));
    cookieOf().then((cookie) => child.send({ base, cookie, open: looked, clicked: CLICKED, clicks: CLICKS }), reject);
  });
  const { user, system } = process.cpuUsage(from.cpu);
  return { ...outcome, cpuShare: (user + system) / 1000 / (performance.now() - from.wall) };
}

async function cookieOf(): Promise<string> {
  const body = new URLSearchParams({ token: TOKEN });
  const answer = await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' });
  return (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

function report(quiet: Outcome & { cpuShare: number }, busy: Outcome & { cpuShare: number }): void {
  const row = (clicks: readonly Click[], path: string): number[] => {
    const times = clicks.filter((click) => path === '' || click.path === path).map(({ firstByte }) => firstByte);
    return [percentile(times, 0.5), percentile(times, 0.95)];
  };
  const floor = row(busy.clicks, FLOOR)[0] ?? 1;
  const line = (path: string, name: string): string => {
    const [alone = 0, alone95 = 0] = row(quiet.clicks, path);
    const [median = 0, p95 = 0] = row(busy.clicks, path);
    const took = path === 'all' ? [...cpu.values()].flat() : (cpu.get(path) ?? []);
    const times = [alone, alone95, median, p95, percentile(took, 0.5), percentile(took, 0.95)];
    const cells = times.map((ms) => milliseconds(ms).padStart(8));
    return `${name.padEnd(24)}${cells.join('')}${(median / floor).toFixed(1).padStart(8)}`;
  };
  const pagesOnly = (outcome: Outcome): Click[] => outcome.clicks.filter(({ path }) => path !== FLOOR);
  quiet.clicks.push(...pagesOnly(quiet).map((click) => ({ ...click, path: 'all' })));
  busy.clicks.push(...pagesOnly(busy).map((click) => ({ ...click, path: 'all' })));
  console.log(`first byte in ms, ${MACHINES} machines, ${COPIES} copies, alone and beside ${OPEN} open dashboards`);
  console.log(`${'page'.padEnd(24)}   alone     p95    open     p95     cpu     p95  /floor`);
  for (const path of CLICKED) console.log(line(path, path));
  console.log(line('all', 'all pages'));
  console.log(
    `the open ones loaded their pages ${busy.refreshes} times; the daemon used ${busy.cpuShare.toFixed(2)} cores, ${quiet.cpuShare.toFixed(2)} without them; load ${loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`,
  );
  console.log('expected: p95 of all pages <= 100 ms on a host that has a core for the daemon');
}
