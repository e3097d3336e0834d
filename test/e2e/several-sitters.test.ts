import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

const LEASE_SECONDS = 8;
const WEB = `
task_configuration: {name: web, command: exec sleep 1000, cpu: .25, ensure_alive: true}
deployment_layout: {local-a: {count: 2}}
`;
/** A job without copies: a change that costs nothing. */
const note = (name: string): string => `
task_configuration: {name: ${name}, command: sleep 1}
deployment_layout: {local-a: {count: 0}}
`;

interface Status {
  leads: boolean;
  leader: string | null;
  epoch: number;
  attention: string[];
}

const status = (cluster: EmbeddedCluster): Promise<Status> => cluster.get('/api/v1/status');
const leads = async (cluster: EmbeddedCluster): Promise<boolean> => (await status(cluster)).leads;

/** Cluster sitters on one etcd that see the same machines; not started. */
async function several(
  t: Test,
  size: number,
): Promise<{ sitters: EmbeddedCluster[]; up(of: EmbeddedCluster): Promise<void> }> {
  const etcd = await EtcdServer.start();
  const sitters = Array.from({ length: size }, () => new EmbeddedCluster());
  const [first] = sitters;
  if (!first) throw new Error('there is none');
  t.teardown(async () => {
    // The machines are the same for all: the last one ends these, when no other is there to start them again.
    for (const sitter of sitters.slice(1)) {
      await sitter.end('SIGTERM');
      rmSync(sitter.folder, { recursive: true, force: true, maxRetries: 30 });
    }
    await first.down();
    await first.remove();
    await etcd.remove();
  });
  const use = (path: string, config = {}): object => ({ use: join(packageRoot, path), config });
  const plugins = join(first.folder, 'plugins.json');
  const list = [
    { ...use('plugins/enforcer-proc'), modes: ['machine'] },
    { ...use('plugins/store-etcd', { endpoints: [etcd.url], lease: LEASE_SECONDS }), modes: ['cluster'] },
    { ...use('providers/local', { folder: join(first.folder, 'machines') }), modes: ['cluster'] },
  ];
  writeFileSync(plugins, JSON.stringify({ plugins: list }));
  return { sitters, up: (sitter) => sitter.up({ '--plugins': plugins }) };
}

t.test('three cluster sitters are upgraded one after another: nothing is lost, and nothing restarts', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const { sitters, up } = await several(t, 3);
  const [first] = sitters;
  if (!first) throw new Error('there is none');
  for (const sitter of sitters) await up(sitter);
  t.equal((await first.apply(WEB)).status, 200);
  const pids = (await first.ready('web', 2)).map((copy) => copy.task?.pid ?? 0).sort();
  for (const sitter of sitters)
    t.same((await sitter.ready('web', 2)).map((copy) => copy.task?.pid).sort(), pids, 'who stands by sees them too');

  // People go on asking, each time another cluster sitter; who gets no answer asks the next one.
  const acknowledged: string[] = [];
  let going = true;
  const people = (async () => {
    for (let n = 0; going; n++) {
      const sitter = sitters[n % sitters.length];
      const answer = await sitter?.apply(note(`note-${n}`)).catch(() => null);
      if (answer?.status === 200) acknowledged.push(`note-${n}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const before = (await status(first)).epoch;
  for (const sitter of sitters) {
    const led = await leads(sitter);
    t.equal(await sitter.end('SIGTERM'), 0);
    const others = sitters.filter((other) => other !== sitter);
    await eventually(async () => (await Promise.all(others.map(leads))).includes(true), 'one of the others leads');
    if (led) {
      const count = acknowledged.length;
      await eventually(() => acknowledged.length > count, 'orders are taken while it is away');
    }
    await up(sitter);
  }
  going = false;
  await people;

  const leaders = await Promise.all(sitters.map(leads));
  t.equal(leaders.filter(Boolean).length, 1, 'one leads');
  t.ok((await Promise.all(sitters.map(status))).every(({ epoch, leads }) => !leads || epoch > before));
  for (const sitter of sitters) {
    const names = new Set((await sitter.get<{ name: string }[]>('/api/v1/jobs')).map(({ name }) => name));
    t.same(
      acknowledged.filter((name) => !names.has(name)),
      [],
      'every order that was acknowledged is known to each',
    );
  }
  t.comment(`${acknowledged.length} orders were acknowledged meanwhile`);
  t.ok(pids.every(isAlive), 'what ran runs on');
  t.same((await first.ready('web', 2)).map((copy) => copy.task?.pid ?? 0).sort(), pids);
  const events = await first.events();
  t.same(
    events.map(({ seq }) => seq),
    events.map((_, i) => i + 1),
    'one timeline, without a gap',
  );
  t.notOk(events.some(({ kind }) => kind === 'machine-lost'));
});

t.test('a lone cluster sitter that was killed waits for the end of its own lease, says so, and leads', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const { sitters, up } = await several(t, 1);
  const [lone] = sitters;
  if (!lone) throw new Error('there is none');
  await up(lone);
  t.equal((await lone.apply(WEB)).status, 200);
  const [copy] = await lone.ready('web', 2);
  const { epoch } = await status(lone);
  const killed = Date.now();
  await lone.end('SIGKILL');
  await up(lone);
  const started = Date.now();
  if (!(await leads(lone))) {
    t.match(
      (await status(lone)).attention[0],
      /does not lead yet: an earlier run of it, .* has the lead until its lease ends/,
    );
    t.equal((await lone.apply(WEB)).status, 503);
    t.ok(
      (await lone.copies()).some(({ task }) => task?.pid === copy?.task?.pid),
      'it shows what is',
    );
  }
  await eventually(() => leads(lone), 'it leads');
  const waited = Date.now() - killed;
  // On a host under load everything takes longer, its own start too.
  const slack = Math.max(2000, started - killed);
  t.ok(waited <= LEASE_SECONDS * 1000 + slack, `within its lease and a little more (${waited} ms)`);
  t.comment(`it led again after ${waited} ms, its lease is ${LEASE_SECONDS} s`);
  t.ok((await status(lone)).epoch > epoch);
  t.equal((await lone.apply(WEB)).status, 200);
  t.ok(isAlive(copy?.task?.pid ?? 0));
});
