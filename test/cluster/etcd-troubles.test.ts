import t, { type Test } from 'tap';
import { Link } from '../consistency/link.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { freePort } from '../fakes/free-port.ts';
import { eventually } from '../suites/eventually.ts';
import { job, LEASE_SECONDS, OneOfSeveral } from './one-of-several.ts';

/** A job whose copies need a machine. */
const WANTING = `
task_configuration: {name: wanting, command: exec sleep 1000}
deployment_layout: {local-a: {count: 1}}
`;

async function etcdOf(t: Test, size = 1): Promise<EtcdServer[]> {
  const members = size === 1 ? [await EtcdServer.start()] : await EtcdServer.startCluster(size);
  t.teardown(() => Promise.all(members.map((member) => member.remove())));
  return members;
}

async function linkTo(t: Test, server: EtcdServer): Promise<Link> {
  const link = await Link.to(Number(new URL(server.url).port));
  t.teardown(() => link.close());
  return link;
}

async function sitterOn(t: Test, endpoints: string[], options = {}): Promise<OneOfSeveral> {
  const sitter = new OneOfSeveral(await freePort(), endpoints, options);
  t.teardown(() => sitter.remove());
  await sitter.start();
  return sitter;
}

const urlOf = ({ port }: Link): string => `http://127.0.0.1:${port}`;

t.test('what etcd can do to a cluster sitter', { jobs: 4 }, async (t) => {
  if (skipWithoutEtcd(t)) return;

  t.test('full: what runs is led on, what is asked for is refused and said, and it goes on by itself', async (t) => {
    const [etcd] = await etcdOf(t);
    if (!etcd) return;
    const sitter = await sitterOn(t, [etcd.url]);
    await etcd.alarm('ACTIVATE');
    // The first that wants to write: of itself a cluster in which nothing happens does not.
    const refused = await sitter.apply(WANTING);
    t.equal(refused.status, 507);
    t.match(await refused.json(), { error: { code: 'no_space', message: /etcd is full .*disarm/ } });
    t.same(await sitter.jobs(), [], 'nothing of it was taken');
    t.same(await sitter.get('/api/v1/machines'), [], 'and nothing was bought');
    // Longer than the lease: it is prolonged without a write.
    await new Promise((resolve) => setTimeout(resolve, LEASE_SECONDS * 1000 + 1000));
    const status = await sitter.status();
    t.ok(status.leads, 'the lead is kept');
    t.match(status.attention.join('\n'), /etcd is full/, 'the page says so');
    await etcd.alarm('DEACTIVATE');
    await eventually(async () => (await sitter.status()).attention.length === 0, 'it finds out by itself');
    t.equal((await sitter.apply(job('after'))).status, 200);
    t.same(await sitter.jobs(), ['after']);
  });

  t.test('compacted under a watch: all is read anew, and nothing is missed', async (t) => {
    const [etcd] = await etcdOf(t);
    if (!etcd) return;
    const link = await linkTo(t, etcd);
    const leader = await sitterOn(t, [etcd.url]);
    const standBy = await sitterOn(t, [urlOf(link)], { timeout: 3 });
    t.equal((await leader.apply(job('one'))).status, 200);
    await eventually(async () => (await standBy.jobs()).length === 1, 'it hears of the first one');
    link.cut();
    link.hangUp();
    t.equal((await leader.apply(job('two'))).status, 200);
    t.equal((await leader.fetch('/api/v1/jobs/one', { method: 'DELETE' })).status, 200);
    await etcd.compact();
    t.same(await standBy.jobs(), ['one'], 'it shows what it knows');
    link.mend();
    await eventually(async () => (await standBy.jobs()).join() === 'two', 'it knows what came meanwhile');
    t.equal((await leader.apply(job('three'))).status, 200);
    await eventually(async () => (await standBy.jobs()).length === 2, 'and hears on');
    t.match(await standBy.status(), { leads: false, leader: leader.url });
  });

  t.test('without a quorum: pages go on, nothing is changed, and it leads again by itself', async (t) => {
    const members = await etcdOf(t, 3);
    const sitter = await sitterOn(
      t,
      members.map(({ url }) => url),
      { timeout: 3 },
    );
    t.equal((await sitter.apply(job('before'))).status, 200);
    const [one, two] = members;
    await Promise.all([one?.kill(), two?.kill()]);
    await eventually(async () => !(await sitter.status()).leads, 'it knows that it leads no more');
    t.same(await sitter.jobs(), ['before']);
    const refused = await sitter.apply(WANTING);
    t.equal(refused.status, 503);
    t.match((await sitter.status()).attention[0], /the store does not answer/);
    await Promise.all([one?.start(), two?.start()]);
    await eventually(async () => (await sitter.status()).leads, 'it leads again');
    t.equal((await sitter.apply(job('after'))).status, 200);
    t.same(await sitter.jobs(), ['after', 'before']);
    t.same(await sitter.get('/api/v1/machines'), []);
  });

  t.test('slow: the lead is kept for as long as that is sure, and had again', async (t) => {
    const [etcd] = await etcdOf(t);
    if (!etcd) return;
    const link = await linkTo(t, etcd);
    const sitter = await sitterOn(t, [urlOf(link)]);
    const { epoch } = await sitter.status();
    link.slow(300);
    const began = Date.now();
    for (let n = 0; Date.now() - began < LEASE_SECONDS * 1000 + 1000; n++)
      t.equal((await sitter.apply(job(`slow-${n}`))).status, 200, 'orders take longer, and are taken');
    t.match(await sitter.status(), { leads: true, epoch }, 'longer than one lease, under one lead');
    const known = await sitter.jobs();
    link.slow(LEASE_SECONDS * 1000);
    await eventually(async () => !(await sitter.status()).leads, 'what etcd says comes too late to be sure of');
    t.same(await sitter.jobs(), known, 'pages go on');
    t.equal((await sitter.apply(WANTING)).status, 503);
    link.slow(0);
    await eventually(async () => (await sitter.status()).leads, 'it leads again');
    t.equal((await sitter.apply(job('after'))).status, 200);
    t.same(await sitter.jobs(), [...known, 'after'].sort());
  });
});
