import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { AdoptionView } from '../../core/model/adoption.ts';
import { endAll, writeSshPlugins } from '../fakes/ssh-inventory.ts';
import { type SshdHost, SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

t.setTimeout(600_000);

const JOB = `
task_configuration: {name: web, command: exec sleep 1000, cpu: .5, mem: 50}
deployment_layout: {ssh-rack1: {count: 3}}
place: {spread: hard}
update: {min_healthy: 0}
`;

const claimOf = (host: SshdHost): string => join(host.home, '.cerebro-machine', 'claim');

t.test('hosts of a cluster whose store is lost are adopted as they can be reached, and no task notices', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(4);
  const cluster = new EmbeddedCluster();
  try {
    const [first, silent, rekeyed, theirs] = hosts.hosts;
    if (!first || !silent || !rekeyed || !theirs) throw new Error('four hosts were asked for');
    const settings = join(cluster.folder, 'cerebro.yaml');
    // Orphans and idle machines would be ended at once: what survives this was not taken for one.
    writeFileSync(settings, 'orphan_grace: 0\nidle_grace: 0\nmax_idle_per_zone: 0\n');
    const plugins = join(cluster.folder, 'plugins.json');
    writeSshPlugins(plugins, hosts);
    const flags = { '--plugins': plugins, '--settings': settings };
    await cluster.up(flags);
    await cluster.apply(JOB);
    const pids = async (): Promise<Map<string, number>> =>
      new Map((await cluster.ready('web', 3)).map(({ copy, task }) => [copy, task?.pid ?? 0]));
    const before = await pids();
    const machines = (await cluster.machines()).map(({ id }) => id).sort();
    t.same(machines, ['ssh-rack1-1', 'ssh-rack1-2', 'ssh-rack1-3']);
    const { clusterId } = await cluster.get<{ clusterId: string }>('/api/v1/status');
    const claims = hosts.hosts.slice(0, 3).map((host) => readFileSync(claimOf(host), 'utf8'));
    await cluster.end('SIGKILL');

    renameSync(join(cluster.dataDir, 'store'), join(cluster.folder, 'lost'));
    rmSync(join(cluster.dataDir, 'ssh', 'machines'), { recursive: true });
    await Promise.all([silent.stop(), rekeyed.stop()]);
    await rekeyed.changeHostKey();
    await rekeyed.start();
    mkdirSync(join(theirs.home, '.cerebro-machine'), { recursive: true });
    writeFileSync(claimOf(theirs), JSON.stringify({ clusterId: 'theirs', machineId: 'ssh-rack1-1', intent: 'i' }));

    await cluster.up(flags);
    t.same(await cluster.machines(), [], 'nothing is adopted unasked');
    const asked = await cluster.cli(['adopt']);
    t.equal(asked.code, 1);
    t.match(asked.stderr, `--cluster ${clusterId}`);
    t.match(asked.stderr, '--cluster theirs');
    const dry = await cluster.cli(['adopt', '--cluster', clusterId, '--dry-run']);
    t.equal(dry.code, 1, 'hosts that could not be looked at are no success');
    t.match(dry.stdout, /rack1\/h2 in ssh-rack1 could not be looked at: .*cannot be reached by SSH: nothing listens/);
    t.match(
      dry.stdout,
      /rack1\/h3 in ssh-rack1 could not be looked at: the host key of \S+ has changed: .*take its line out of/,
    );
    t.match(dry.stdout, /1 machines can be adopted/);
    t.notMatch(dry.stdout, 'theirs');
    t.same(await cluster.machines(), [], 'a look adopts nothing');

    const some = await cluster.cli(['adopt', '--cluster', clusterId]);
    t.equal(some.code, 1);
    const areReady = async (count: number): Promise<boolean> =>
      (await cluster.machines()).filter(({ state }) => state === 'ready').length === count;
    await eventually(() => areReady(1), 'the one that was reached is ready');

    await silent.start();
    rmSync(join(cluster.dataDir, 'ssh', 'known_hosts'));
    const rest = await cluster.cliJson<AdoptionView>(['adopt']);
    t.equal(rest.cluster, clusterId, 'by now it is our own name');
    t.equal(rest.machines.length, 2);
    await eventually(() => areReady(3), 'all answer to their new cluster sitter');
    for (const pid of before.values()) t.ok(isAlive(pid));
    t.same(
      hosts.hosts.slice(0, 3).map((host) => readFileSync(claimOf(host), 'utf8')),
      claims,
      'nothing on the hosts says otherwise than before',
    );

    await cluster.apply(JOB);
    t.same(await pids(), before, 'the job has the processes that ran, under their names');
    t.same((await cluster.machines()).map(({ id }) => id).sort(), machines, 'and orders nothing');

    // They are ours in every respect: what is ended is wiped, and another's host is not touched.
    await cluster.fetch('/api/v1/jobs/web', { method: 'DELETE' });
    await eventually(async () => (await cluster.machines()).length === 0, 'machines without copies are ended');
    for (const pid of before.values()) t.notOk(isAlive(pid));
    t.match(readFileSync(claimOf(theirs), 'utf8'), 'theirs');
  } finally {
    await cluster.remove();
    for (const host of hosts.hosts) endAll(host);
    await hosts.remove();
  }
});
