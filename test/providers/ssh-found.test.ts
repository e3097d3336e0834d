import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { SshProvider } from '../../providers/ssh/ssh-provider.ts';
import type { SshdHost } from '../fakes/sshd-hosts.ts';
import { eventually } from '../suites/eventually.ts';
import { TestAuthority } from '../tls/machine-with-certificate.ts';
import { CLUSTER, type Inventory, order, state, withInventory } from './ssh-under-test.ts';

const FRESH = 'fresh-cluster';

/** One host that is m-1 of a cluster whose store is lost: the provider's own notes are there still. */
async function withFleet(
  t: Test,
  body: (fresh: SshProvider, host: SshdHost, inventory: Inventory) => Promise<void>,
): Promise<void> {
  await withInventory(t, 1, async (inventory) => {
    const [host] = inventory.hosts.hosts;
    if (!host) throw new Error('a host was asked for');
    const before = inventory.provider();
    await before.start();
    await before.create(order('m-1'));
    await eventually(async () => (await state(before, 'm-1')) === 'running', 'it runs');
    await before.stop();
    const fresh = inventory.provider();
    await fresh.start();
    await body(fresh, host, inventory);
  });
}

const pathOn = (host: SshdHost, ...path: string[]): string => join(host.home, '.cerebro-machine', ...path);

t.test('what is another store’s is looked at and nothing else, until it is taken over', async (t) => {
  await withFleet(t, async (fresh, host) => {
    t.same(await fresh.describe(FRESH), []);
    const sitter = (): { pid: number } => JSON.parse(readFileSync(pathOn(host, 'data', 'sitter.json'), 'utf8'));
    const { pid } = sitter();
    process.kill(pid, 'SIGKILL');
    const seen = async (): Promise<string | undefined> => (await fresh.survey()).machines[0]?.state;
    await eventually(async () => (await seen()) === 'pending', 'its end is seen');
    for (let looks = 0; looks < 3; looks++) {
      t.equal(await seen(), 'pending');
      await new Promise((resolve) => setTimeout(resolve, 300)); // the provider's own looks come as often
    }
    t.equal(sitter().pid, pid, 'it was not started by a cluster that it does not belong to');

    const claim = readFileSync(pathOn(host, 'claim'), 'utf8');
    await t.rejects(fresh.create(order('m-1', FRESH)), {
      code: 'unavailable',
      message: new RegExp(`rack1/h1 is m-1 of another cluster \\(${CLUSTER}\\)`),
    });
    t.equal(readFileSync(pathOn(host, 'claim'), 'utf8'), claim);

    const [found] = (await fresh.survey()).machines;
    if (!found) throw new Error('nothing was found');
    await fresh.takeOver(found);
    await fresh.takeOver(found);
    await eventually(async () => (await state(fresh, 'm-1')) === 'running', 'it is looked after again');
    t.not(sitter().pid, pid);
    await fresh.destroy(CLUSTER, 'm-1');
  });
});

t.test('a host that has become another’s since it was looked at is not taken over', async (t) => {
  await withFleet(t, async (fresh, host) => {
    const [found] = (await fresh.survey()).machines;
    if (!found) throw new Error('nothing was found');
    const claim = readFileSync(pathOn(host, 'claim'), 'utf8');
    writeFileSync(pathOn(host, 'claim'), JSON.stringify({ clusterId: 'theirs', machineId: 'm-7', intent: 'i' }));
    await t.rejects(fresh.takeOver(found), {
      code: 'conflict',
      message: `rack1/h1 was m-1 of the cluster ${CLUSTER}, and is m-7 of the cluster theirs by now`,
    });
    writeFileSync(pathOn(host, 'claim'), claim); // so that the test ends what it has started
  });
});

t.test(
  'a machine whose sitter is not to be found, or is another machine’s, is not read as one without tasks',
  async (t) => {
    await withFleet(t, async (fresh, host) => {
      const [found] = (await fresh.survey()).machines;
      if (!found) throw new Error('nothing was found');
      t.same(await fresh.readTasks(found), []);
      const authority = await TestAuthority.create();
      writeFileSync(pathOn(host, 'data', 'identity.json'), JSON.stringify(await authority.machine('m-9')));
      await t.rejects(fresh.readTasks(found), { code: 'conflict', message: /is m-9, and not m-1/ });
    });
  },
);

t.test('a claim that nobody can read is told of', async (t) => {
  await withInventory(t, 2, async ({ hosts, provider }) => {
    const [host] = hosts.hosts;
    if (!host) throw new Error('a host was asked for');
    mkdirSync(pathOn(host));
    writeFileSync(pathOn(host, 'claim'), 'half of');
    t.match(await provider().survey(), {
      machines: [],
      problems: [/^rack1\/h1 in ssh-rack1 could not be looked at: its claim file cannot be read/],
    });
    await t.rejects(async () => readFileSync(join(hosts.hosts[1]?.home ?? '', '.cerebro-machine')), { code: 'ENOENT' });
  });
});
