import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../core/cluster/access/issue-certificate.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import type { Progress } from '../../core/model/progress.ts';
import { LocalProvider } from '../../providers/local/local-provider.ts';
import { config } from '../../providers/local/schema.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { machineProviderSuite, type ProviderUnderTest } from '../suites/index.ts';

/** The built program, as the cluster sitter would start it; without the loaders that tap gives to every Node. */
const selfCommand = [
  '/usr/bin/env',
  '-u',
  'NODE_OPTIONS',
  process.execPath,
  join(packageRoot, 'dist', 'core', 'main.js'),
];

async function make(): Promise<ProviderUnderTest> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-local-'));
  const again = (): LocalProvider =>
    new LocalProvider(
      { clock: new SystemClock(), logger: silentLogger, processes: new ProcTable(), dataDir, selfCommand },
      config.parse({}),
    );
  const provider = again();
  return {
    provider,
    zone: 'local-a',
    destroyBehindItsBack: async (machineId) => {
      await provider.actions.crash?.run(machineId);
    },
    again,
    cleanUp: async () => {
      const sweeper = again();
      await sweeper.start();
      for (const { clusterId, machineId } of await sweeper.describe('cluster-of-the-suite'))
        await sweeper.destroy(clusterId, machineId);
      await sweeper.stop();
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
    },
  };
}

t.test('provider-local', async (t) => {
  for (const { name, run } of machineProviderSuite(make)) await t.test(name, async (t) => run(t));
});

const CLUSTER = 'cluster-of-the-suite';

/** A machine that runs, its folder and the pid of its sitter. */
async function runningMachine(under: ProviderUnderTest, machineId: string): Promise<{ folder: string; pid: number }> {
  const [type] = under.provider.types('local-a');
  if (!type) throw new Error('local-a sells nothing');
  await under.provider.create({
    clusterId: CLUSTER,
    machineId,
    zone: 'local-a',
    type,
    intent: 'intent',
    token: 'token',
    identity: await issueCertificate(
      await createAuthority(Date.now()),
      { kind: 'machine', id: machineId },
      Date.now(),
      3600_000,
    ),
  });
  await eventually(async () => (await under.provider.describe(CLUSTER))[0]?.state === 'running', 'it runs', 60_000);
  const remote = await under.provider.remote({ machineId, address: null });
  const folder = join((await remote.run(['pwd'])).stdout.trim(), '..');
  await remote.close();
  return { folder, pid: JSON.parse(readFileSync(join(folder, 'sitter.json'), 'utf8')).pid };
}

function isAlive(pid: number): boolean {
  const info = new ProcTable().read(pid);
  return info !== undefined && info.state !== 'Z';
}

t.test('a machine whose folder was deleted counts as gone, and nothing of it runs on', async (t) => {
  const under = await make();
  await under.provider.start();
  const { folder, pid } = await runningMachine(under, 'm-2');
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  await eventually(async () => (await under.provider.describe(CLUSTER))[0]?.state === 'stopped', 'it is given up');
  await eventually(() => !isAlive(pid), 'its sitter is ended');
  await under.provider.destroy(CLUSTER, 'm-2');
  t.same(await under.provider.describe(CLUSTER), []);
  await under.provider.stop();
  await under.cleanUp();
});

t.test(
  'a machine whose file is damaged does not keep the others from starting, and is ended by its mark',
  async (t) => {
    const under = await make();
    await under.provider.start();
    const { folder, pid } = await runningMachine(under, 'm-3');
    await under.provider.stop();
    writeFileSync(join(folder, 'instance.json'), '');
    const again = under.again();
    await again.start();
    t.same(await again.describe(CLUSTER), []);
    t.ok(isAlive(pid));
    await again.destroy(CLUSTER, 'm-3');
    t.notOk(isAlive(pid));
    await again.stop();
    await under.cleanUp();
  },
);

t.test("a machine's certificate is replaced in its folder, for its owner's eyes alone", async (t) => {
  const under = await make();
  await under.provider.start();
  const { folder } = await runningMachine(under, 'm-4');
  const path = join(folder, 'identity.json');
  t.equal(statSync(path).mode & 0o777, 0o600);
  const authority = await createAuthority(Date.now());
  const next = await issueCertificate(authority, { kind: 'machine', id: 'm-4' }, Date.now(), 3600_000);
  await under.provider.renewIdentity?.('m-4', next);
  t.same(JSON.parse(readFileSync(path, 'utf8')), next);
  t.equal(statSync(path).mode & 0o777, 0o600);
  await under.provider.stop();
  await under.cleanUp();
});

t.test('two that share a folder have the same machines, and none twice', async (t) => {
  const under = await make();
  const other = under.again();
  await Promise.all([under.provider.start(), other.start()]);
  const { pid, folder } = await runningMachine(under, 'm-5');
  t.match(await other.describe(CLUSTER), [{ machineId: 'm-5', state: 'running' }]);
  const intent = { clusterId: CLUSTER, machineId: 'm-5', zone: 'local-a', token: 'token' };
  const [type] = other.types('local-a');
  if (!type) throw new Error('local-a sells nothing');
  const identity = { authority: 'x', certificate: 'x', key: 'x' };
  await other.create({ ...intent, type, intent: 'intent', identity });
  t.ok(isAlive(pid), 'an order that the other one has carried out is not carried out again');
  await t.rejects(other.create({ ...intent, type, intent: 'another', identity }), { code: 'conflict' });
  await under.destroyBehindItsBack?.('m-5');
  await eventually(async () => (await other.describe(CLUSTER))[0]?.state === 'stopped', 'the other one sees it');
  t.notOk(isAlive(pid));
  await other.destroy(CLUSTER, 'm-5');
  t.notOk(existsSync(folder));
  await Promise.all([under.provider.stop(), other.stop()]);
  await under.cleanUp();
});

t.test('a machine on its way says what is done, and one whose sitter ends again and again says why', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-local-'));
  const program = join(dataDir, 'program');
  writeFileSync(
    program,
    '#!/bin/sh\necho \'{"msg":"listening"}\' >&2\necho "cerebro: the stars are not right" >&2\nexit 7\n',
    {
      mode: 0o755,
    },
  );
  const services = { clock: new SystemClock(), logger: silentLogger, processes: new ProcTable(), dataDir };
  const provider = new LocalProvider({ ...services, selfCommand: [program] }, config.parse({}));
  const told: Progress[] = [];
  provider.onProgress((machineId, progress) => {
    t.equal(machineId, 'm-1');
    told.push(progress);
  });
  await provider.start();
  t.teardown(async () => {
    await provider.destroy(CLUSTER, 'm-1');
    await provider.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
  });
  const [type] = provider.types('local-a');
  if (!type) throw new Error('local-a sells nothing');
  const identity = { authority: 'x', certificate: 'x', key: 'x' };
  const order = { clusterId: CLUSTER, machineId: 'm-1', zone: 'local-a', intent: 'intent', token: 'token' };
  await provider.create({ ...order, type, identity });
  await eventually(async () => (await provider.describe(CLUSTER))[0]?.state === 'stopped', 'it is given up');
  t.same(told[0], { step: 'its machine sitter is started', percent: null, failure: null });
  const log = join(dataDir, 'machines', 'm-1', 'sitter.log');
  const why = `its machine sitter ended with 7: cerebro: the stars are not right (${log})`;
  t.match(told[1], { step: null, failure: { sentence: why, attempts: 1 } });
  t.match(told[2], { step: 'its machine sitter is started', failure: { sentence: why } });
  t.match(told.at(-1), {
    failure: { sentence: `it is given up, since its machine sitter died 7 times within a minute: ${why}` },
  });
});
