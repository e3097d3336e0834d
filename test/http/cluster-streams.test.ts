import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import type { EventQuery } from '../../core/contracts/cluster-api.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { clusterEventRoute } from '../../core/http/routes/event-routes.ts';
import { clusterLogRoute } from '../../core/http/routes/log-route.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { FakeClusterApi } from '../fakes/fake-cluster-api.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { clientWith, TestAuthority } from '../tls/machine-with-certificate.ts';
import { ApiUnderTest, Reader } from './api-under-test.ts';

const TOKEN = 'the-right-token';

/** A cluster's timeline that grows, and whose listeners hear of it. */
class GrowingCluster extends FakeClusterApi {
  readonly #ears = new Set<() => void>();

  tell(job: string, count = 1): void {
    for (let i = 0; i < count; i++)
      this.timeline.push({ seq: this.timeline.length + 1, at: '', kind: 'k', level: 'info', message: 'm', job });
    for (const listener of this.#ears) listener();
  }

  override async events({ since, limit = 100, job }: EventQuery): Promise<ClusterEvent[]> {
    const found = this.timeline.filter((event) => event.seq > (since ?? 0) && (job === undefined || event.job === job));
    return since === undefined ? found.slice(-limit) : found.slice(0, limit);
  }

  override onChange(listener: () => void): () => void {
    this.#ears.add(listener);
    return () => this.#ears.delete(listener);
  }
}

async function listening(t: Test, routes: Parameters<typeof daemonApp>[0]['routes']): Promise<string> {
  const auth = new Auth({ token: TOKEN, sessionKey: Buffer.alloc(32, 7), name: 'test' });
  const app = daemonApp({ title: 't', version: '1', auth, logger: silentLogger, routes, ready: () => true });
  const server = new HttpServer(app);
  const url = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.close());
  return url;
}

async function open(url: string, headers: Record<string, string>): Promise<Reader> {
  const abort = new AbortController();
  const all = { authorization: `Bearer ${TOKEN}`, ...headers };
  return new Reader(await fetch(url, { signal: abort.signal, headers: all }), abort);
}

t.test('the timeline of a cluster as a stream, of everything or of one job', async (t) => {
  const cluster = new GrowingCluster();
  cluster.tell('web', 3);
  const url = `${await listening(t, [clusterEventRoute(cluster)])}/api/v1/events`;
  const sse = { accept: 'text/event-stream' };
  const all = await open(`${url}?since=1`, sse);
  const one = await open(`${url}?job=db`, sse);
  await eventually(() => all.events.length === 2, 'what came after the first');
  cluster.tell('db');
  cluster.tell('web');
  await eventually(() => all.events.length === 4 && one.events.length === 1, 'what is new');
  t.match(one.events, [{ id: '4', data: { job: 'db' } }]);
  await eventually(() => one.text.includes('\nid: 5\n'), 'it hears how far all was looked through');
  await Promise.all([all.close(), one.close()]);
  t.same(
    all.events.map(({ id }) => id),
    ['2', '3', '4', '5'],
  );
  const again = await open(url, { ...sse, 'last-event-id': '4' });
  await eventually(() => again.events.length === 1, 'the rest');
  await again.close();
  t.match(again.events, [{ id: '5' }]);
  const ask = async (query: string): Promise<unknown> =>
    (await fetch(`${url}?${query}`, { headers: { authorization: `Bearer ${TOKEN}` } })).json();
  t.match(await ask('since=4&wait=1'), { next: 5, resync: false, events: [{ seq: 5 }] });
  t.match(await ask('since=5000&wait=1'), { next: 5, resync: true, events: [] });
  const poll = ask('since=5&wait=50');
  await new Promise((resolve) => setTimeout(resolve, 100));
  cluster.tell('web');
  t.match(await poll, { next: 6, events: [{ seq: 6 }] });
});

t.test('the log of a copy, with everything that a machine can do, by way of the cluster sitter', async (t) => {
  const api = new ApiUnderTest();
  const authority = await TestAuthority.create();
  writeFileSync(join(api.folder, 'identity.json'), JSON.stringify(await authority.machine('m')), { mode: 0o600 });
  await api.start();
  const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
  t.teardown(async () => {
    await client.close();
    await api.remove();
  });
  await api.put('web', { command: 'echo one; sleep 1.5; echo two >&2; sleep 1.5; echo three; exec sleep 1000' });
  await eventually(async () => (await api.text('/logs/web')).includes('three'), 'it has written');
  const machine = { id: 'm', endpoint: api.daemon.url.replace('http:', 'https:') } as MachineRecord;
  const url = await listening(t, [
    clusterLogRoute({ log: (name, _which, asked, signal) => client.log(machine, name, asked, signal) }),
  ]);
  const ask = (query: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url}/logs/web${query}`, { headers: { authorization: `Bearer ${TOKEN}`, ...headers } });
  t.equal(await (await ask('')).text(), 'one\nthree\n');
  t.equal(await (await ask('?stream=both&since=1h')).text(), 'one\ntwo\nthree\n');
  t.equal(await (await ask('?stream=both&grep=/^t/')).text(), 'two\nthree\n');
  const part = await ask('', { range: 'bytes=4-' });
  t.equal(part.status, 206);
  t.equal(part.headers.get('content-range'), 'bytes 4-9/10');
  t.equal(await part.text(), 'three\n');
  t.equal((await ask('', { range: 'bytes=50-' })).status, 416);
  const file = await ask('?download=1');
  t.equal(file.headers.get('content-disposition'), 'attachment; filename="web.1.stdout.log"');
  t.equal((await ask('?grep=/(/')).status, 400);
  const live = await open(`${url}/logs/web?stream=both`, { accept: 'text/event-stream' });
  await eventually(() => live.events.length === 3, 'the lines as events');
  t.match(live.response.headers.get('content-type'), /event-stream/);
  await live.close();
  const [first] = live.events;
  const rest = await open(`${url}/logs/web?stream=both`, {
    accept: 'text/event-stream',
    'last-event-id': first?.id ?? '',
  });
  await eventually(() => rest.events.length === 2, 'on from there');
  await rest.close();

  const cli = (...args: string[]): Promise<string> =>
    new Promise((resolve) => {
      const program = [process.execPath, join(packageRoot, 'bin', 'cerebro'), 'logs', 'web', ...args];
      const env = { PATH: process.env.PATH ?? '', HOME: api.folder, CEREBRO_URL: url, CEREBRO_TOKEN: TOKEN };
      const child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...program], { env });
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (bytes: Buffer) => {
          said += bytes.toString('utf8');
        });
      child.once('close', (code) => resolve(`${said}${code}`));
    });
  t.equal(await cli('--both'), 'one\ntwo\nthree\n0');
  t.equal(await cli('--both', '--grep', 't', '--since', '1h'), 'two\nthree\n0');
  t.equal(await cli('--tail', '1'), 'three\n0');
  t.match(await cli('--since', 'yesterday'), /expected a time.*1$/s);
});

t.test('what a machine says that its log is, is not believed: a browser is never given markup', async (t) => {
  const answer = {
    status: 200,
    headers: { 'content-type': 'text/html' },
    body: Readable.from(['<script>alert(1)</script>']),
  };
  const url = await listening(t, [clusterLogRoute({ log: async () => answer })]);
  const response = await fetch(`${url}/logs/web`, { headers: { authorization: `Bearer ${TOKEN}` } });
  t.match(response.headers.get('content-type'), /^text\/plain/);
  t.equal(response.headers.get('x-content-type-options'), 'nosniff');
  t.match(response.headers.get('content-security-policy'), /sandbox/);
  t.equal(await response.text(), '<script>alert(1)</script>');
});
