import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

const WEB = (count: number): string => `
task_configuration: {name: web, command: exec sleep 1000, cpu: .25, ensure_alive: true}
deployment_layout: {local-a: {count: ${count}}}
`;

interface Status {
  epoch: number;
  attention: string[];
}

const leads = async (cluster: EmbeddedCluster): Promise<boolean> =>
  !(await cluster.get<Status>('/api/v1/status')).attention.some((line) => line.includes('does not lead'));

t.test(
  'two cluster sitters on etcd: one that waits, an etcd that is away, leaders that are frozen and killed',
  async (t) => {
    if (skipWithoutEtcd(t)) return;
    const etcd = await EtcdServer.start();
    const first = new EmbeddedCluster();
    const second = new EmbeddedCluster();
    t.teardown(async () => {
      // Their machines are the same: they are ended when nobody is there to start them again.
      for (const one of [first, second]) await one.end('SIGKILL');
      await first.remove();
      rmSync(second.folder, { recursive: true, force: true, maxRetries: 30 });
      await etcd.remove();
    });
    const use = (path: string, config = {}): object => ({ use: join(packageRoot, path), config });
    const plugins = join(first.folder, 'plugins.json');
    const list = [
      { ...use('plugins/enforcer-proc'), modes: ['machine'] },
      { ...use('plugins/store-etcd', { endpoints: [etcd.url], lease: 8, timeout: 3 }), modes: ['cluster'] },
      // Both see the same machines, as they would with a provider that is not of one host.
      { ...use('providers/local', { folder: join(first.folder, 'machines') }), modes: ['cluster'] },
    ];
    writeFileSync(plugins, JSON.stringify({ plugins: list }));

    await first.up({ '--plugins': plugins });
    t.equal((await first.apply(WEB(1))).status, 200);
    const [before] = await first.ready('web', 1);
    const pid = before?.task?.pid ?? 0;
    await second.up({ '--plugins': plugins });
    t.ok(await leads(first));
    t.notOk(await leads(second));
    await second.ready('web', 1);
    t.equal((await second.apply(WEB(2))).status, 200, 'who stands by passes orders on');
    await second.ready('web', 2);

    await etcd.kill();
    await eventually(async () => !(await leads(first)), 'the leader knows that it does not lead any more');
    t.ok(
      (await first.copies()).some((copy) => copy.task?.pid === pid),
      'the page goes on',
    );
    t.equal((await first.apply(WEB(1))).status, 503);
    const refused = await second.apply(WEB(1));
    t.equal(refused.status, 503);
    t.match(await refused.json(), { error: { message: /nothing was done|does not lead/ } }, 'nobody takes orders now');
    t.ok(isAlive(pid));
    await etcd.start();
    let leader = first;
    await eventually(async () => {
      for (const one of [first, second]) if (await leads(one)) leader = one;
      return leads(leader);
    }, 'somebody leads again');
    const other = leader === first ? second : first;
    t.notOk(await leads(other), 'and only one');
    await eventually(async () => (await leader.apply(WEB(2))).status === 200, 'orders are taken again');
    await leader.ready('web', 2);
    const { epoch } = await leader.get<Status>('/api/v1/status');

    process.kill(leader.pid, 'SIGSTOP');
    await eventually(() => leads(other), 'the other one takes over from a leader that is frozen');
    const taken = (await other.get<Status>('/api/v1/status')).epoch;
    t.ok(taken > epoch);
    t.equal((await other.apply(WEB(3))).status, 200);
    await other.ready('web', 3);
    process.kill(leader.pid, 'SIGCONT');
    await leader.apply(WEB(3));
    await eventually(async () => !(await leads(leader)), 'who wakes does not lead any more');
    const { epoch: now } = await other.get<Status>('/api/v1/status');
    t.equal(now, taken, 'and takes the lead from nobody');
    t.match(
      readFileSync(join(leader.dataDir, 'cerebro.log'), 'utf8'),
      /does not lead any more; nothing is changed from here/,
      'and says so',
    );
    await leader.ready('web', 3);

    await other.end('SIGKILL');
    await eventually(() => leads(leader), 'and back, when the other one is killed');
    t.ok((await leader.get<Status>('/api/v1/status')).epoch > taken);
    const after = await leader.ready('web', 3);
    t.ok(
      after.some((copy) => copy.task?.pid === pid),
      'what ran has run on through all of it',
    );
    t.equal((await leader.machines()).length, 1, 'no machine was ordered twice');
    t.equal((await leader.apply(WEB(1))).status, 200);
    await leader.ready('web', 1);
    const events = await leader.events();
    t.notOk(events.some(({ kind }) => kind === 'machine-lost'));
    t.same(
      events.map(({ seq }) => seq),
      events.map((_, i) => i + 1),
      'one timeline, without a gap',
    );
  },
);
