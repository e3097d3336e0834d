import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { AdoptionView } from '../../core/model/adoption.ts';
import { EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

t.setTimeout(300_000);

const job = (name: string, colour: string): string => `
task_configuration: {name: ${name}, command: 'exec sleep 1000', cpu: .5, mem: 50, env: {COLOUR: ${colour}}}
deployment_layout: {local-a: {count: 2}}
update: {min_healthy: 0}
---
`;

t.test('a cluster whose store is lost is adopted by a fresh one, and nothing that runs notices', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  const pidsOf = async (name: string): Promise<Map<string, number>> =>
    new Map((await cluster.ready(name, 2)).map(({ copy, task }) => [copy, task?.pid ?? 0]));
  await cluster.apply(job('web', 'red') + job('worker', 'red') + job('batch', 'red'));
  // The second version has a number that a fresh cluster would not begin with.
  await cluster.apply(job('web', 'blue'));
  await eventually(async () => (await cluster.copies()).filter(({ version }) => version === 2).length === 2, 'rolled');
  const [web, worker, batch] = [await pidsOf('web'), await pidsOf('worker'), await pidsOf('batch')];
  const machines = (await cluster.machines()).map(({ id }) => id).sort();
  const { clusterId } = await cluster.get<{ clusterId: string }>('/api/v1/status');
  await cluster.end('SIGKILL');

  const store = join(cluster.dataDir, 'store');
  t.ok(existsSync(store));
  renameSync(store, join(cluster.folder, 'lost'));
  await cluster.up({ '--settings': settingsFile(cluster) });
  const fresh = (await cluster.get<{ clusterId: string }>('/api/v1/status')).clusterId;
  t.not(fresh, clusterId);
  t.same(await cluster.machines(), [], 'nothing is adopted unasked');
  const explained = await cluster.cli(['explain', machines[0] ?? '']);
  t.match(explained.stdout, `belongs to the cluster ${clusterId}, not to this one`);
  t.match(explained.stdout, `cerebro adopt --cluster ${clusterId}`);

  const refused = await cluster.cli(['adopt']);
  t.equal(refused.code, 1);
  t.match(refused.stderr, `--cluster ${clusterId}`);
  const unknown = await cluster.cli(['adopt', '--cluster', 'nobody']);
  t.match(unknown.stderr, 'no provider has a machine of the cluster "nobody"');
  const dry = await cluster.cliJson<AdoptionView>(['adopt', '--cluster', clusterId, '--dry-run']);
  t.same(dry.machines.map(({ machine }) => machine).sort(), machines);
  t.same(dry.machines.flatMap(({ tasks }) => tasks.map(({ task }) => task)).sort(), [
    ...[...web.keys(), ...worker.keys(), ...batch.keys()].sort(),
  ]);
  t.same(await cluster.machines(), [], 'a dry run adopts nothing');

  await cluster.cliJson(['adopt', '--cluster', clusterId]);
  await eventually(
    async () => (await cluster.machines()).filter(({ state }) => state === 'ready').length === machines.length,
    'its machines answer to their new cluster sitter',
  );
  t.equal((await cluster.get<{ clusterId: string }>('/api/v1/status')).clusterId, clusterId);
  for (const pid of [...web.values(), ...worker.values(), ...batch.values()]) t.ok(isAlive(pid));
  t.same(await cluster.copies(), [], 'what no job is there for is nobody’s, and runs on');

  // The same job, and one that is defined otherwise by now.
  await cluster.apply(job('web', 'blue') + job('worker', 'green'));
  t.same(await pidsOf('web'), web, 'its copies are those that ran: the same processes under the same names');
  await eventually(
    async () =>
      (await cluster.ready('worker', 2)).every(({ copy, task }) => worker.has(copy) && task?.pid !== worker.get(copy)),
    'the copies of the other were updated where they are',
  );
  t.same(await pidsOf('web'), web);
  t.same(
    (await cluster.machines()).map(({ id }) => id).sort(),
    machines,
    'nothing was ordered for them, and what holds others’ tasks is not idle',
  );
  const again = await cluster.cli(['adopt', '--dry-run']);
  t.match(again.stdout, 'no machine was found that is not known here');
  const [stays = '', goes = ''] = [...batch.keys()];
  t.match((await cluster.cli(['explain', 'batch'])).stdout, `cerebro adopt --end ${stays}`);
  await cluster.cliJson(['adopt', '--end', goes]);
  await eventually(() => !isAlive(batch.get(goes) ?? 0), 'what somebody ends is ended');
  t.ok(isAlive(batch.get(stays) ?? 0), 'and nothing else is');
  t.equal((await cluster.cli(['adopt', '--end', goes])).code, 1, 'it cannot be ended twice');
});

/** Orphans would be ended at once: what survives this was not taken for one. */
function settingsFile(cluster: EmbeddedCluster): string {
  const path = join(cluster.folder, 'cerebro.yaml');
  writeFileSync(path, 'orphan_grace: 0\nidle_grace: 0\nmax_idle_per_zone: 0\n');
  return path;
}
