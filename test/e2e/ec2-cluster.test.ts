import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Ec2Hosts } from '../fakes/ec2/ec2-hosts.ts';
import { skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

t.test('from a job to EC2 instances that run it, through the loss of one, to none', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = new Ec2Hosts();
  await hosts.open();
  const cluster = new EmbeddedCluster();
  t.teardown(async () => {
    await cluster.remove();
    await hosts.close();
  });
  const { world } = hosts.standIn;
  const pluginsFile = hosts.writePlugins(cluster.folder);
  const settings = join(cluster.folder, 'cerebro.yaml');
  writeFileSync(settings, 'max_idle_per_zone: 0\nidle_grace: 2\n');
  const flags = { '--plugins': pluginsFile, '--settings': settings };
  await cluster.up(flags);

  // The cheaper size has no room in the first zone: another is taken.
  world.soldOut.add('us-west-2a/t3.small');
  const job = (count: number, first: object = {}): string =>
    JSON.stringify({
      deployment_layout: {
        'aws-us-west-2a': { mem: 100, count, ...first },
        'aws-us-west-2b': { cpu: 1, mem: 100, count },
      },
      task_configuration: { name: 'web', command: 'exec sleep 1000', ensure_alive: true },
    });
  const boot = hosts.holdBoots('us-west-2b');
  const applied = await cluster.apply(job(1));
  t.equal(applied.status, 200, await applied.text());
  // One that is not reached says why, and that it is tried again.
  const waits =
    /^waits for machine (aws-us-west-2b-1), which is booting: (127\.0\.0\.1:\d+ cannot be reached by SSH: nothing listens there.*), 2nd try at \d\d:\d\d:\d\d UTC$/;
  let reason = '';
  await eventually(
    async () => {
      reason = (await cluster.copies()).find(({ machine }) => machine === 'aws-us-west-2b-1')?.reason ?? '';
      return waits.test(reason);
    },
    () => `the copy says what it waits for: ${reason}`,
  );
  const [, machineId = '', sentence = ''] = waits.exec(reason) ?? [];
  const explained = await cluster.cli(['explain', machineId]);
  t.match(explained.stdout, `${machineId} (t3.small) is booting: ${sentence}`);
  boot();
  const copies = await cluster.ready('web', 2);
  const told = (await cluster.events()).filter(({ machine }) => machine === machineId).map(({ message }) => message);
  t.equal(told.filter((line) => line === `${machineId} is booting: ${sentence}; it is tried again`).length, 1);
  t.ok(
    told.some((line) => /: cerebro-\S+ is brought there, \d+ MB$/.test(line)),
    'each step is on its timeline',
  );
  t.same(
    world
      .living()
      .map(({ az, type }) => [az, type])
      .sort(),
    [
      ['us-west-2a', 'm6i.large'],
      ['us-west-2b', 't3.small'],
    ],
  );
  const machines = await cluster.machines();
  t.ok(machines.every(({ address }) => address === '127.0.0.1'));

  // The cluster sitter is started again: nothing is bought and nothing restarts.
  await cluster.end('SIGTERM');
  await cluster.up(flags);
  t.same(
    (await cluster.ready('web', 2)).map(({ copy, task }) => [copy, task?.pid]),
    copies.map(({ copy, task }) => [copy, task?.pid]),
  );
  t.equal(world.instances.length, 2);

  // The first zone has no size at all any more: the next one, which the job allows, is taken for it.
  for (const type of ['t3.small', 'm6i.large']) world.soldOut.add(`us-west-2a/${type}`);
  await cluster.apply(job(1, { count: 3, fallback: ['aws-us-west-2b'] }));
  const spread = await cluster.ready('web', 4);
  t.same(spread.map(({ zone, machine }) => [zone.slice(-1), machine.slice(-3)]).sort(), [
    ['a', 'a-2'],
    ['a', 'a-2'],
    ['a', 'b-1'],
    ['b', 'b-1'],
  ]);
  const elsewhere = spread.find(({ zone, machine }) => !machine.startsWith(zone));
  t.match(
    (await cluster.cli(['explain', elsewhere?.copy ?? ''])).stdout,
    /"web" wants 3 in aws-us-west-2a; aws-us-west-2a has no t3.small, m6i.large just now/,
  );
  t.equal(world.instances.length, 2);

  // A host fails: EC2 says so, and another instance takes its place, with another host key.
  const [before] = world.living().filter(({ az }) => az === 'us-west-2b');
  hosts.fail('us-west-2b');
  await eventually(() => world.instances.length === 3, 'another is bought');
  await cluster.ready('web', 4);
  const [after] = world.living().filter(({ az }) => az === 'us-west-2b');
  t.not(after?.id, before?.id);
  t.not(after?.tags['cerebro:host-key'], before?.tags['cerebro:host-key']);

  // Nothing that is not wanted any more lives on.
  const gone = await cluster.fetch('/api/v1/jobs/web', { method: 'DELETE' });
  t.ok(gone.ok, await gone.text());
  await eventually(() => world.living().length === 0, 'every instance is ended');
  t.same(hosts.standIn.faults, []);
});
