import { createAuthority, issueCertificate } from '../../core/cluster/access/issue-certificate.ts';
import type { Instance, MachineOrder, MachineProvider } from '../../core/contracts/machine-provider.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

const CLUSTER = 'cluster-of-the-suite';

export interface ProviderUnderTest {
  provider: MachineProvider;
  /** A zone that it serves. */
  zone: string;
  /** Makes the machine disappear without the provider being asked, as the world would. */
  destroyBehindItsBack?(machineId: string): Promise<void>;
  /** Puts the folder of a machine sitter that has no tasks onto a machine, where what is tested has no sitters of its own. */
  installSitter?(machineId: string): void;
  /** Another instance over the same machines, as after a restart of the cluster sitter; neither is started. */
  again(): MachineProvider;
  cleanUp(): Promise<void>;
}

/** What every `machine-provider` must do. */
export function machineProviderSuite(make: () => Promise<ProviderUnderTest>): Suite {
  const test = (name: string, body: (t: Assertions, under: ProviderUnderTest) => Promise<void>): Suite[number] => ({
    name,
    run: async (t) => {
      const under = await make();
      await under.provider.start();
      try {
        await body(t, under);
      } finally {
        await under.provider.stop();
        await under.cleanUp();
      }
    },
  });
  const authority = createAuthority(Date.now());
  const order = async (
    under: ProviderUnderTest,
    machineId: string,
    intent = `intent-of-${machineId}`,
  ): Promise<MachineOrder> => {
    const [type] = under.provider.types(under.zone);
    if (!type) throw new Error(`${under.zone} sells nothing`);
    // Another one for each order, also for the same machine: this is not what makes an order the same.
    const identity = await issueCertificate(await authority, { kind: 'machine', id: machineId }, Date.now(), 3600_000);
    return { clusterId: CLUSTER, machineId, zone: under.zone, type, intent, token: 'a-token', identity };
  };
  const find = async (provider: MachineProvider, machineId: string): Promise<Instance | undefined> =>
    (await provider.describe(CLUSTER)).find(
      (instance) => instance.machineId === machineId && instance.state !== 'gone',
    );

  return [
    test('it sells at least one size in its zone, and none in a zone that it does not serve', async (t, under) => {
      const types = under.provider.types(under.zone);
      t.ok(types.length > 0);
      t.ok(types.every((type) => type.cpu > 0 && type.mem > 0 && type.name.length > 0));
      t.same(under.provider.types('nobody-a'), []);
      t.same(under.provider.types(`${under.provider.name}-no-such-zone-here`), []);
    }),
    test('a machine that was ordered comes up, with an address, and is told of', async (t, under) => {
      let told = 0;
      under.provider.onChange(() => {
        told += 1;
      });
      const steps: Parameters<Parameters<NonNullable<MachineProvider['onProgress']>>[0]>[] = [];
      under.provider.onProgress?.((...step) => void steps.push(step));
      const made = await under.provider.create(await order(under, 'm-1'));
      t.equal(made.machineId, 'm-1');
      t.equal(made.zone, under.zone);
      await eventually(async () => (await find(under.provider, 'm-1'))?.state === 'running', 'it runs', 60_000);
      const instance = await find(under.provider, 'm-1');
      t.ok(instance?.address);
      t.ok(instance?.endpoint);
      t.equal(instance?.ref, made.ref);
      await eventually(() => told > 0, 'the provider tells by itself');
      for (const [machineId, { step, percent, failure }] of steps) {
        t.equal(machineId, 'm-1');
        t.ok(step !== null || failure !== null);
        t.ok(percent === null || (percent >= 0 && percent <= 100));
      }
    }),
    test('the same order twice, at once or later, is one machine', async (t, under) => {
      const [one, other] = await Promise.all([
        under.provider.create(await order(under, 'm-1')),
        under.provider.create(await order(under, 'm-1')),
      ]);
      const later = await under.provider.create(await order(under, 'm-1'));
      t.equal(one?.ref, other?.ref);
      t.equal(one?.ref, later.ref);
      t.equal((await under.provider.describe(CLUSTER)).filter(({ state }) => state !== 'gone').length, 1);
    }),
    test('after a restart of the cluster sitter its machines are there, and an order of before is still the same machine', async (t, under) => {
      const made = await under.provider.create(await order(under, 'm-1'));
      await eventually(async () => (await find(under.provider, 'm-1'))?.state === 'running', 'it runs', 60_000);
      await under.provider.stop();
      const again = under.again();
      await again.start();
      const found = await find(again, 'm-1');
      t.equal(found?.state, 'running');
      t.equal((await again.create(await order(under, 'm-1'))).ref, made.ref);
      await again.destroy(CLUSTER, 'm-1');
      await again.stop();
    }),
    test('destroy ends it, is fine twice, and fine for what never was', async (t, under) => {
      await under.provider.create(await order(under, 'm-1'));
      await under.provider.destroy(CLUSTER, 'm-1');
      t.equal(await find(under.provider, 'm-1'), undefined);
      await under.provider.destroy(CLUSTER, 'm-1');
      await under.provider.destroy(CLUSTER, 'never-was');
    }),
    test("another cluster's machines are neither shown nor ended", async (t, under) => {
      await under.provider.create(await order(under, 'm-1'));
      t.same(await under.provider.describe('another-cluster'), []);
      await under.provider.destroy('another-cluster', 'm-1').catch(() => undefined);
      t.ok(await find(under.provider, 'm-1'));
    }),
    test('a survey finds it with its size, whosever it is, and what runs on it can be read', async (t, under) => {
      const { provider } = under;
      if (!provider.survey || !provider.readTasks) return;
      const asked = await order(under, 'm-1');
      await provider.create(asked);
      await eventually(async () => (await find(provider, 'm-1'))?.state === 'running', 'it runs', 60_000);
      under.installSitter?.('m-1');
      const { machines, problems } = await provider.survey();
      t.same(problems, []);
      const [found, ...others] = machines.filter(({ state }) => state !== 'gone');
      t.ok(found && others.length === 0);
      if (!found) return;
      const { clusterId, machineId, zone, intent, type } = asked;
      const { name, cpu, mem } = found.type;
      t.same(
        { ...found, type: { name, cpu, mem } },
        { ...found, clusterId, machineId, zone, intent, type: { name: type.name, cpu: type.cpu, mem: type.mem } },
      );
      t.same(await provider.readTasks(found), []);
    }),
    test('a machine that disappears is not said to run any more', async (t, under) => {
      if (!under.destroyBehindItsBack) return;
      await under.provider.create(await order(under, 'm-1'));
      await eventually(async () => (await find(under.provider, 'm-1'))?.state === 'running', 'it runs', 60_000);
      await under.destroyBehindItsBack('m-1');
      await eventually(
        async () => (await find(under.provider, 'm-1'))?.state !== 'running',
        'it is not said to run',
        60_000,
      );
      t.ok(true);
    }),
    test('the remote runs commands with arguments as they are, and moves files', async (t, under) => {
      const made = await under.provider.create(await order(under, 'm-1'));
      await eventually(async () => (await find(under.provider, 'm-1'))?.state === 'running', 'it runs', 60_000);
      const remote = await under.provider.remote({ machineId: 'm-1', address: made.address });
      const strange = ['a b', '"quoted"', "it's", '$(echo no)', '`no`', 'line\nbreak', '', '*', '\\', 'ü'];
      const { stdout } = await remote.run(['printf', '%s|', ...strange]);
      t.equal(stdout, strange.map((argument) => `${argument}|`).join(''));
      const failed = await remote.run(['/bin/sh', '-c', 'echo why >&2; exit 3'], { allowFailure: true });
      t.equal(failed.code, 3);
      await t.rejects(remote.run(['/bin/sh', '-c', 'exit 3']));
      await t.rejects(remote.run(['/no/such/program']));
      await t.rejects(remote.run(['sleep', '60'], { timeout: 0.2 }));
      await remote.write('hello', 'a folder/file.txt', { mode: 0o600 });
      const lines: string[] = [];
      await remote.run(['cat', 'a folder/file.txt'], { onLine: (_stream, line) => lines.push(line) });
      t.same(lines, ['hello']);
      await remote.close();
    }),
  ];
}
