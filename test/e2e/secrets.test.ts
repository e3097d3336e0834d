import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

t.setTimeout(240_000);

const TEXT = "s3cr3t 'with' $quotes";

const job = (name: string, env: string): string => `
task_configuration: {name: ${name}, command: 'exec sleep 1000', cpu: .5, mem: 50, env: {${env}}}
deployment_layout: {local-a: {count: 2}}
update: {min_healthy: 0}
---
`;

t.test('a secret reaches the processes that are given it, and nothing that anybody can read besides', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  const file = join(cluster.folder, 'password');
  writeFileSync(file, `${TEXT}\n`);
  const set = (path: string): ReturnType<EmbeddedCluster['cli']> =>
    cluster.cli(['secret', 'set', 'DB', '--file', path]);
  const piped = ['-u', 'NODE_OPTIONS', process.execPath, join(packageRoot, 'bin', 'cerebro'), 'secret', 'set', 'DB'];
  const told = execFileSync('/usr/bin/env', piped, { env: cluster.env, input: `${TEXT}\n`, encoding: 'utf8' });
  t.match(told, 'DB is set (value 1)');
  t.match((await set(file)).stdout, 'DB is set (value 1)', 'the same from a file changes nothing');
  t.equal((await cluster.cli(['secret', 'set', 'DB'])).code, 1, 'an empty standard input is no secret');
  for (const word of ['set', 'remove'])
    t.match(await cluster.cli(['secret', word, 'bad name!']), {
      code: 2,
      stderr: /"bad name!" cannot be the name of a secret: a secret's name begins with a letter/,
    });
  await cluster.apply(job('web', 'PASSWORD: {secret: DB}') + job('beside', 'PASSWORD: none'));
  const [before, beside] = [await cluster.ready('web', 2), await cluster.ready('beside', 2)];
  const password = (pid: number | null | undefined): string | undefined =>
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((line) => line.startsWith('PASSWORD='));
  for (const { task } of before) t.equal(password(task?.pid), `PASSWORD=${TEXT}`);

  // Whatever was written, here or on the machines, but for the file that a machine sitter restarts its task from.
  const holders = execFileSync('grep', ['-rlF', TEXT.slice(0, 6), cluster.dataDir], { encoding: 'utf8' })
    .trim()
    .split('\n');
  t.equal(holders.length, 2);
  for (const path of holders) {
    t.match(path, /\/machines\/[^/]+\/tasks\/[^/]+\/task\.json$/);
    t.equal(statSync(path).mode & 0o777, 0o600);
  }
  const paths = [
    'jobs/web',
    'jobs/web/versions',
    'copies',
    'machines',
    'events?since=0&limit=10000',
    'secrets',
    'explain/web',
    'backup',
  ];
  for (const path of paths) {
    const answer = await cluster.fetch(`/api/v1/${path}`);
    t.equal(answer.status, 200, path);
    t.notMatch(await answer.text(), TEXT.slice(0, 6), path);
  }
  t.notMatch(cluster.output, TEXT.slice(0, 6));

  // The machine gives it to nobody either, and goes on with it when its sitter begins anew.
  const [copy] = before;
  const machine = join(cluster.dataDir, 'machines', copy?.machine ?? '');
  const { url } = JSON.parse(readFileSync(join(machine, 'sitter.json'), 'utf8'));
  const authorization = `Bearer ${readFileSync(join(machine, 'admin.token'), 'utf8').trim()}`;
  const asked = await fetch(`${url}/api/v1/tasks/${copy?.copy}/definition`, { headers: { authorization } });
  t.match(await asked.clone().json(), { configuration: { env: { PASSWORD: { secret: 'DB' } } } });
  t.notMatch(await asked.text(), TEXT.slice(0, 6));

  writeFileSync(file, 'another one');
  t.match((await set(file)).stdout, 'web are updated with it');
  await eventually(async () => {
    const after = await cluster.ready('web', 2);
    return after.every(({ version, task }) => version === 2 && password(task?.pid) === 'PASSWORD=another one');
  }, 'the copies that are given it have the new one');
  t.same(
    (await cluster.ready('beside', 2)).map(({ task }) => task?.pid),
    beside.map(({ task }) => task?.pid),
    'others are left alone',
  );
  const list = await cluster.cli(['secret', 'list']);
  t.match(list.stdout, /DB +2 .*web/);
  t.equal((await cluster.cli(['secret', 'remove', 'DB'])).code, 1);
});
