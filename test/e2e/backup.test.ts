import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { EmbeddedCluster } from './embedded-cluster.ts';

const IDLE = `
task_configuration: {name: idle, command: exec sleep 1000}
deployment_layout: {local-a: {count: 0}}
`;

t.test('a cluster is backed up while it runs, restored elsewhere, and moved to etcd', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  t.equal((await cluster.apply(IDLE)).status, 200);
  const { clusterId } = await cluster.get<{ clusterId: string }>('/api/v1/status');
  const file = join(cluster.folder, 'cluster.backup');
  const at = ['--clustersitterurl', cluster.url, '--token', cluster.token];
  const told = await cluster.cliJson<{ entries: number; clusterId: string }>(['backup', file, ...at]);
  t.equal(told.clusterId, clusterId);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.match(readFileSync(file, 'utf8'), /"key":"job\/idle"/);
  const anonymous = await fetch(`${cluster.url}/api/v1/backup`);
  t.equal(anonymous.status, 401);

  const running = await cluster.cli(['--data-dir', cluster.dataDir, 'restore', file]);
  t.equal(running.code, 1);
  t.match(running.stderr, /in use by a daemon/);
  await cluster.end('SIGTERM');
  const same = await cluster.cli(['--data-dir', cluster.dataDir, 'restore', file, '--replace']);
  t.match(same, { code: 1, stderr: /very store/ });

  const other = new EmbeddedCluster();
  t.teardown(() => other.remove());
  const damaged = join(other.folder, 'damaged.backup');
  copyFileSync(file, damaged);
  writeFileSync(damaged, readFileSync(file, 'utf8').replace('"idle"', '"odle"'));
  const refused = await other.cli(['--data-dir', other.dataDir, 'restore', damaged]);
  t.match(refused, { code: 1, stderr: /checksum/ });
  const restored = await other.cli(['--data-dir', other.dataDir, 'restore', file]);
  t.match(restored, { code: 0, stdout: new RegExp(`${told.entries} entries`) });
  t.match(await other.cli(['--data-dir', other.dataDir, 'restore', file]), { code: 1, stderr: /--replace/ });
  await other.up();
  // Whatever cluster its user's configuration names.
  const meant = await cluster.cli(['--data-dir', other.dataDir, 'status']);
  t.match(meant, { code: 0, stdout: new RegExp(`at ${other.url},`) });
  const status = await other.get<{ clusterId: string; jobs: number }>('/api/v1/status');
  t.match(status, { clusterId, jobs: 1 });

  if (skipWithoutEtcd(t)) return;
  await other.end('SIGTERM');
  const etcd = await EtcdServer.start();
  t.teardown(() => etcd.remove());
  const plugins = join(other.folder, 'plugins.json');
  const use = (path: string): string => join(packageRoot, path);
  const list = [
    { use: use('plugins/store-etcd'), modes: ['cluster'], config: { endpoints: [etcd.url] } },
    { use: use('providers/local'), modes: ['cluster'] },
    { use: use('plugins/enforcer-proc'), modes: ['machine'] },
  ];
  writeFileSync(plugins, JSON.stringify({ plugins: list }));
  const migrate = ['--data-dir', other.dataDir, 'store', 'migrate', '--to', plugins];
  t.match(await other.cli(migrate), { code: 0, stdout: /entries are in the store/ });
  t.match(await other.cli(['--plugins', plugins, ...migrate]), { code: 2, stderr: /in already/ });
  t.match(await other.cli(migrate), { code: 1, stderr: /--replace/ });
  await other.up({ '--plugins': plugins });
  t.match(await other.get('/api/v1/status'), { clusterId, jobs: 1 });
  t.equal(await other.end('SIGHUP'), 0, 'a terminal that is closed ends it in order');
  await other.up({ '--plugins': plugins });
  t.match(await other.get('/api/v1/status'), { clusterId, jobs: 1 }, 'the lead was given back');
});
