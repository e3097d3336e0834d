import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SecretKeyFile } from '../../core/cluster/access/secret-key.ts';
import { Secrets } from '../../core/cluster/access/secrets.ts';
import type { ClusterSitter } from '../../core/cluster/cluster-sitter.ts';
import { type ClusterRecords, keys } from '../../core/cluster/records/cluster-records.ts';
import type { Operation } from '../../core/contracts/state-store.ts';
import { taskConfiguration } from '../../core/model/task-configuration.ts';
import { ClusterFixture, NOW } from '../decide/cluster-fixture.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { smallClusterSitter } from '../fakes/small-cluster-sitter.ts';
import { StubbornProvider } from '../fakes/stubborn-provider.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

const job = (name: string, env: string): string => `
task_configuration: {name: ${name}, command: sleep 1, cpu: .5, env: ${env}}
deployment_layout: {fake-a: {count: 2}}
---
`;

const options = { source: 'test.yaml', dryRun: false, by: 'a test' };

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-secrets-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  return folder;
}

async function started(
  t: Test,
  keyPath: string,
  store = new MemoryStore(),
): Promise<{ sitter: ClusterSitter; store: MemoryStore }> {
  const sitter = smallClusterSitter({
    store,
    providers: [new StubbornProvider()],
    secretKey: new SecretKeyFile(keyPath),
  });
  await sitter.start();
  t.teardown(() => sitter.stop());
  return { sitter, store };
}

t.test('a secret is sealed in the store, and so in a backup; shown are names alone', async (t) => {
  const path = join(folderOf(t), 'keys', 'secret.key');
  const { sitter, store } = await started(t, path);
  t.same(await sitter.secrets.set('DB', 'hunter2-éñ', 'anna'), { version: 1, updated: [] });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.match(sitter.secrets.list(), [{ name: 'DB', version: 1, by: 'anna', jobs: [] }]);
  await sitter.api.apply(job('web', '{PASSWORD: {secret: DB}, PLAIN: text}'), options);
  const everything = JSON.stringify((await store.list('')).entries) + [...(await sitter.api.backup())].join('');
  t.notMatch(everything, 'hunter2');
  t.notMatch(everything, readFileSync(path, 'utf8').trim());
  const shown = [
    sitter.api.job('web'),
    sitter.api.copies(),
    sitter.api.versions('web'),
    await sitter.api.explain('web'),
    sitter.secrets.list(),
  ];
  t.notMatch(JSON.stringify([shown, await sitter.api.events({ since: 0 })]), 'hunter2');
  t.match(sitter.secrets.list(), [{ jobs: ['web'] }]);
  t.same(sitter.secrets.of('web', 1), { DB: 'hunter2-éñ' });
});

t.test(
  'a new value is a new version of the jobs that are given it, and of no other; the old one goes back with its version',
  async (t) => {
    const { sitter } = await started(t, join(folderOf(t), 'key'));
    await sitter.secrets.set('DB', 'one', 'a test');
    await sitter.secrets.set('OTHER', 'other', 'a test');
    await sitter.api.apply(
      job('web', '{A: {secret: DB}, B: {secret: OTHER}}') + job('beside', '{B: {secret: OTHER}}'),
      options,
    );
    t.same(
      await sitter.secrets.set('DB', 'one', 'a test'),
      { version: 1, updated: [] },
      'the same value changes nothing',
    );
    t.equal(sitter.api.job('web').version, 1);
    t.same(await sitter.secrets.set('DB', 'two', 'a test'), { version: 2, updated: ['web'] });
    t.match(sitter.api.job('web'), { version: 2, rollout: { to: 2, state: 'rolling' } });
    t.equal(sitter.api.job('beside').version, 1);
    t.same(sitter.secrets.of('web', 2), { DB: 'two', OTHER: 'other' });
    t.same(sitter.secrets.of('web', 1), { DB: 'one', OTHER: 'other' });
    t.ok(
      (await sitter.api.events({ job: 'web' })).some(({ message }) =>
        /version 2: it is given DB, which has changed/.test(message),
      ),
    );
    await sitter.api.rollBack('web', 1, 'a test');
    t.match(sitter.api.job('web'), { version: 1, rollout: { to: 1 } });
    const { changes } = await sitter.api.apply(job('web', '{A: {secret: DB}, B: {secret: OTHER}}'), options);
    t.match(changes, [{ change: 'unchanged' }]);
    const again = await sitter.secrets.set('DB', 'two', 'a test');
    t.same(again, { version: 2, updated: ['web'] }, 'the newest value is set again for who went back to another');
    t.match(sitter.api.job('web'), { version: 3, rollout: { to: 3 } });
    t.same(sitter.secrets.of('web', 3), { DB: 'two', OTHER: 'other' });
    t.match(sitter.secrets.list(), [{ name: 'DB', version: 2 }, { name: 'OTHER' }], 'and it is no new one');
    t.same(await sitter.secrets.set('DB', 'two', 'a test'), { version: 2, updated: [] });
  },
);

t.test('values that no version of a job names any more are not kept', async (t) => {
  const { sitter, store } = await started(t, join(folderOf(t), 'key'));
  for (const value of ['one', 'two', 'three']) await sitter.secrets.set('DB', value, 'a test');
  const kept = async (): Promise<number[]> => {
    const record = (await store.get('secret/DB'))?.value as { values: { version: number }[] };
    return record.values.map(({ version }) => version);
  };
  t.same(await kept(), [3]);
  await sitter.api.apply(job('web', '{A: {secret: DB}}'), options);
  for (let n = 4; n <= 18; n++) await sitter.secrets.set('DB', `value ${n}`, 'a test');
  t.ok((await kept()).length <= 13, 'with the versions of the job the old values go');
  t.same(sitter.secrets.of('web', sitter.api.job('web').version), { DB: 'value 18' });
});

t.test(
  'a job file that names no known secret is refused with the nearest name; a secret that is in use stays',
  async (t) => {
    const { sitter } = await started(t, join(folderOf(t), 'key'));
    await sitter.secrets.set('DATABASE', 'x', 'a test');
    await t.rejects(sitter.api.apply(job('web', '{A: {secret: DATABSE}}'), options), {
      code: 'invalid',
      message: /"web": there is no secret "DATABSE"; did you mean "DATABASE".*cerebro secret set DATABSE/,
    });
    await t.rejects(sitter.api.apply(job('web', '{A: {secret: DATABASE, more: 1}}'), options), { code: 'invalid' });
    await t.rejects(sitter.api.apply(job('web', '{IFS: {secret: DATABASE}}'), options), {
      message: /means something to the shell itself/,
    });
    await sitter.api.apply(job('web', '{A: {secret: DATABASE}}'), options);
    await t.rejects(sitter.secrets.remove('DATABASE', 'a test'), { code: 'conflict', message: /given to "web"/ });
    await t.rejects(sitter.secrets.remove('NOBODY', 'a test'), { code: 'not_found' });
    await sitter.api.apply(job('web', '{}'), options);
    await sitter.secrets.remove('DATABASE', 'a test');
    t.same(sitter.secrets.list(), []);
  },
);

t.test(
  'a secret stays while a roll-out may go back to a version that is given it, or a copy runs with one',
  async (t) => {
    const withSecret = taskConfiguration.parse({ name: 'web', command: 'sleep 1', env: { A: { secret: 'DB' } } });
    const fixture = (): ClusterFixture =>
      new ClusterFixture().job('web', { 'local-a': 1 }, { version: 2 }).machine('local-a-1');
    const removed = async (cluster: ClusterFixture): Promise<Operation[]> => {
      const spec = { ...cluster.jobs.get('web')?.spec, task_configuration: withSecret };
      let written: Operation[] = [];
      const records = {
        ...cluster.snapshot(),
        secrets: new Map([['DB', { name: 'DB', values: [] }]]),
        versions: new Map([[keys.version('web', 1), { job: 'web', version: 1, spec }]]),
        transact: async (build: () => { write: Operation[] }) => {
          written = build().write;
        },
      } as unknown as ClusterRecords;
      const key = new SecretKeyFile('/nonexistent');
      const secrets = new Secrets({ records, key, clock: new VirtualClock(NOW), onOrder: () => undefined });
      await secrets.remove('DB', 'a test');
      return written;
    };
    const told = {
      code: 'conflict',
      message: /"DB" is given to version 1 of "web" until version 2 is everywhere and well/,
    };
    await t.rejects(removed(fixture().rolling('web', 5)), told, 'it is the one to go back to');
    await t.rejects(removed(fixture().copy('web.1', 'local-a-1', { version: 1 })), told, 'a copy runs with it');
    await t.rejects(removed(fixture().rolling('web', 5).copy('web.1', 'local-a-1', { version: 1 })), told);
    t.same(await removed(fixture().copy('web.1', 'local-a-1')), [{ delete: 'secret/DB' }], 'until nothing does');
    t.same(await removed(fixture().rolling('web', 5).jobIs('web', { state: 'removing' })), [{ delete: 'secret/DB' }]);
  },
);

t.test('without the key nothing is opened, and no other is made; with another, it is said', async (t) => {
  const folder = folderOf(t);
  const store = new MemoryStore();
  const first = await started(t, join(folder, 'key'), store);
  await first.sitter.secrets.set('DB', 'one', 'a test');
  await first.sitter.api.apply(job('web', '{A: {secret: DB}}'), options);
  await first.sitter.stop();
  const { sitter } = await started(t, join(folder, 'elsewhere'), store);
  const missing = { code: 'unavailable', message: /there is no key file .*elsewhere/ };
  t.throws(() => sitter.secrets.of('web', 1), missing);
  await t.rejects(sitter.secrets.set('NEW', 'x', 'a test'), missing);
  writeFileSync(join(folder, 'elsewhere'), `${Buffer.alloc(32, 7).toString('base64url')}\n`, { mode: 0o600 });
  t.throws(() => sitter.secrets.of('web', 1), { message: /sealed with another key/ });
  await sitter.secrets.set('DB', 'two', 'a test');
  t.same(sitter.secrets.of('web', 2), { DB: 'two' }, 'what is set anew is sealed with the key that is there');
  chmodSync(join(folder, 'elsewhere'), 0o644);
  t.throws(() => sitter.secrets.of('web', 2), { message: /others may read the key file/ });
});

t.test('a sealed text opens in its own place only, and not when a bit of it has changed', async (t) => {
  const key = new SecretKeyFile(join(folderOf(t), 'key'));
  key.make();
  const id = key.id();
  key.make();
  t.equal(key.id(), id, 'a key that is there is kept');
  const sealed = key.seal('text', 'DB/1');
  t.not(key.seal('text', 'DB/1'), sealed);
  t.equal(key.open(sealed, 'DB/1'), 'text');
  t.throws(() => key.open(sealed, 'DB/2'), { code: 'unavailable' });
  const bytes = Buffer.from(sealed, 'base64');
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  t.throws(() => key.open(bytes.toString('base64'), 'DB/1'), { code: 'unavailable' });
  t.throws(() => key.open('', 'DB/1'), { code: 'unavailable' });
});
