import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Ec2Hosts } from '../fakes/ec2/ec2-hosts.ts';
import { skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

t.setTimeout(600_000);

const JOB = `
task_configuration: {name: web, command: exec sleep 1000, cpu: .5, mem: 50}
deployment_layout: {aws-us-west-2a: {count: 1}, aws-us-west-2b: {count: 1}}
update: {min_healthy: 0}
`;

t.test(
  'instances of a cluster whose store is lost are adopted, and none of them is ended or started anew',
  async (t) => {
    if (skipWithoutSshd(t)) return;
    const hosts = new Ec2Hosts();
    await hosts.open();
    const cluster = new EmbeddedCluster();
    t.teardown(async () => {
      await cluster.remove();
      await hosts.close();
    });
    const { world } = hosts.standIn;
    const settings = join(cluster.folder, 'cerebro.yaml');
    writeFileSync(settings, 'orphan_grace: 0\nidle_grace: 0\nmax_idle_per_zone: 0\n');
    const flags = { '--plugins': hosts.writePlugins(cluster.folder), '--settings': settings };
    await cluster.up(flags);
    await cluster.apply(JOB);
    const pids = async (): Promise<Map<string, number>> =>
      new Map((await cluster.ready('web', 2)).map(({ copy, task }) => [copy, task?.pid ?? 0]));
    const before = await pids();
    const { clusterId } = await cluster.get<{ clusterId: string }>('/api/v1/status');
    await cluster.end('SIGKILL');

    // Nothing is left of the old cluster sitter but what EC2 has.
    renameSync(join(cluster.dataDir, 'store'), join(cluster.folder, 'lost'));
    rmSync(join(cluster.dataDir, 'ec2'), { recursive: true });
    const [mine] = world.living();
    if (!mine) throw new Error('nothing lives');
    const tags = { ...mine.tags, 'cerebro:cluster': 'theirs', 'cerebro:zone': 'aws-us-west-2z' };
    world.instances.push({ ...mine, id: 'i-0123456789abcdef0', tags, token: 'of-theirs' });

    await cluster.up(flags);
    t.same(await cluster.machines(), [], 'nothing is adopted unasked');
    await hosts.sshd('us-west-2a').stop();
    const dry = await cluster.cli(['adopt', '--cluster', clusterId, '--dry-run']);
    t.equal(dry.code, 1);
    t.match(
      dry.stdout,
      /i-0123456789abcdef0 is aws-us-west-2a-1 of the cluster theirs; its zone aws-us-west-2z is not in the settings/,
    );
    t.match(dry.stdout, /aws-us-west-2a-1 .*what runs on it could not be read: .*cannot be reached by SSH/);
    t.match(dry.stdout, /1 machines can be adopted/);

    t.equal((await cluster.cli(['adopt', '--cluster', clusterId])).code, 1);
    const areReady = async (count: number): Promise<boolean> =>
      (await cluster.machines()).filter(({ state }) => state === 'ready').length === count;
    await eventually(() => areReady(1), 'the one that was reached is ready');
    const attention = async (): Promise<string> =>
      (await cluster.get<{ attention: string[] }>('/api/v1/status')).attention.join('\n');
    await eventually(
      async () => /aws-us-west-2a-1 \(i-\w+\).*left alone: cerebro adopt takes it over/.test(await attention()),
      'the other is told of, and is no orphan',
    );

    await hosts.sshd('us-west-2a').start();
    await cluster.cli(['adopt']);
    await eventually(() => areReady(2), 'all answer to their new cluster sitter');
    await cluster.apply(JOB);
    t.same(await pids(), before, 'the job has the processes that ran, under their names');
    for (const pid of before.values()) t.ok(isAlive(pid));
    t.same(
      world.instances.map(({ endedAt }) => endedAt),
      [null, null, null],
      'nothing was bought, and nothing ended',
    );

    // They are ours in every respect, and what is theirs is not.
    await cluster.fetch('/api/v1/jobs/web', { method: 'DELETE' });
    await eventually(() => world.living().length === 1, 'machines without copies are ended');
    t.equal(world.living()[0]?.tags['cerebro:cluster'], 'theirs');
    t.same(hosts.standIn.faults, []);
  },
);
