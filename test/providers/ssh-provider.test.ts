import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { CerebroError } from '../../core/errors.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import { ClaimedHost } from '../../providers/ssh/claimed-host.ts';
import { DeployedSitters } from '../../providers/ssh/deployed-sitters.ts';
import { config } from '../../providers/ssh/schema.ts';
import { SshProvider } from '../../providers/ssh/ssh-provider.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { freePort } from '../fakes/free-port.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { eventually } from '../suites/eventually.ts';
import { machineProviderSuite, type ProviderUnderTest } from '../suites/index.ts';
import { clientWith, TestAuthority } from '../tls/machine-with-certificate.ts';
import { CLUSTER, endMarked, inventory, marked, order, state, withInventory } from './ssh-under-test.ts';

async function make(): Promise<ProviderUnderTest> {
  const { hosts, provider, cleanUp } = await inventory(1);
  const [host] = hosts.hosts;
  return {
    provider: provider(),
    zone: 'ssh-rack1',
    again: () => provider(),
    destroyBehindItsBack: async () => {
      if (!host) return;
      endMarked(host.home);
      rmSync(join(host.home, '.cerebro-machine'), { recursive: true });
    },
    cleanUp,
  };
}

t.test('provider-ssh', async (t) => {
  if (skipWithoutSshd(t)) return;
  for (const { name, run } of machineProviderSuite(make)) await t.test(name, async (t) => run(t));
});

t.test('two clusters never have one host, and each order says who has the others', async (t) => {
  await withInventory(t, 2, async ({ provider }) => {
    const [mine, theirs] = [provider('mine'), provider('theirs')];
    await Promise.all([mine.start(), theirs.start()]);
    const made = await Promise.all([mine.create(order('m-1')), theirs.create(order('m-1', 'other'))]);
    t.same(new Set(made.map(({ ref }) => ref)), new Set(['rack1/h1', 'rack1/h2']));
    await t.rejects(mine.create(order('m-2')), {
      code: 'unavailable',
      message: /no host of the size ssh.2x1024 is free in ssh-rack1: rack1\/h\d is .*m-1.*; rack1\/h\d is .*m-1/,
    });
    await theirs.destroy('other', 'm-1');
    t.equal((await mine.create(order('m-2'))).ref, made[1]?.ref);
    await mine.destroy(CLUSTER, 'm-1');
    await mine.destroy(CLUSTER, 'm-2');
  });
});

t.test('a host that is given back is as it was: nothing of ours runs there or lies there', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider }) => {
    const [host] = hosts.hosts;
    if (!host) return;
    const one = provider();
    await one.start();
    writeFileSync(join(host.home, 'theirs'), 'not ours');
    await one.create(order('m-1'));
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    const remote = await one.remote({ machineId: 'm-1' });
    // One that hides from its session and its mark, but not from its parent.
    await remote.run([
      '/bin/sh',
      '-c',
      'env -u CEREBRO_MACHINE setsid sh -c "sleep 301 & wait" >/dev/null 2>&1 & echo kept > made-by-a-recipe',
    ]);
    t.ok(marked(`${CLUSTER}/m-1`, host.home).length > 0);
    t.same(readdirSync(join(host.home, '.cerebro-machine')).sort(), ['claim', 'data', 'home']);
    await one.destroy(CLUSTER, 'm-1');
    t.same(marked(`${CLUSTER}/m-1`, host.home), []);
    t.same(readdirSync(host.home), ['theirs']);
    t.same(await one.describe(CLUSTER), []);
  });
});

t.test('a machine sitter that dies is started again', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider }) => {
    const home = hosts.hosts[0]?.home ?? '';
    const one = provider();
    await one.start();
    await one.create(order('m-1'));
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    const file = join(home, '.cerebro-machine', 'data', 'sitter.json');
    const pid = (): number => JSON.parse(readFileSync(file, 'utf8')).pid;
    const before = pid();
    process.kill(before, 'SIGKILL');
    await eventually(() => existsSync(file) && pid() !== before, 'another one runs');
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it is said to run');
    await one.destroy(CLUSTER, 'm-1');
    t.ok(true);
  });
});

t.test('a host that cannot be reached is not called gone, is passed over, and is wiped when it is back', async (t) => {
  await withInventory(t, 2, async ({ hosts, provider }) => {
    const [first, second] = hosts.hosts;
    if (!first || !second) return;
    const one = provider();
    await one.start();
    t.equal((await one.create(order('m-1'))).ref, 'rack1/h1');
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    await first.stop();
    await eventually(async () => (await state(one, 'm-1')) === 'pending', 'nothing is known of it');
    await t.rejects(one.destroy(CLUSTER, 'm-1'), { code: 'unavailable', message: /cannot be reached by SSH/ });
    const again = provider();
    await one.stop();
    await again.start();
    t.equal((await again.create(order('m-2'))).ref, 'rack1/h2');
    t.equal((await again.create(order('m-1'))).ref, 'rack1/h1', 'the order of before is still the same machine');
    await first.start();
    await again.destroy(CLUSTER, 'm-1');
    t.same(marked(`${CLUSTER}/m-1`, first.home), []);
    t.same(readdirSync(first.home), []);
    await again.destroy(CLUSTER, 'm-2');
  });
});

t.test('a machine that cannot be ended in order is killed; one that is out of contact is left for later', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider, remote }) => {
    const [host] = hosts.hosts;
    if (!host) return;
    const one = provider();
    await one.start();
    await one.create(order('m-1'));
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    await one.stop();
    const claimed = new ClaimedHost(remote(host), true);
    const broken = new CerebroError('unavailable', 'the connection broke');
    const told: unknown[] = [];
    const release = (error: Error): Promise<void> =>
      claimed.release(
        CLUSTER,
        'm-1',
        () => Promise.reject(error),
        (why) => told.push(why),
      );
    await t.rejects(release(broken), broken);
    t.ok(marked(`${CLUSTER}/m-1`, host.home).length > 0, 'nothing is known of a host that is not reached');
    const hung = new CerebroError('timeout', 'the machine sitter hangs');
    await release(hung);
    t.same(told, [hung]);
    t.same(marked(`${CLUSTER}/m-1`, host.home), []);
    t.same(readdirSync(host.home), []);
  });
});

t.test('a machine whose host left the inventory is neither gone nor forgotten', async (t) => {
  await withInventory(t, 2, async ({ hosts, provider }) => {
    const [first] = hosts.hosts;
    if (!first) return;
    const one = provider();
    await one.start();
    t.equal((await one.create(order('m-1'))).ref, 'rack1/h1');
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    const [before] = await one.describe(CLUSTER);
    await one.stop();

    const without = provider('one', ['h1']);
    await without.start();
    const { address, endpoint } = before ?? {};
    t.match(await without.describe(CLUSTER), [
      {
        machineId: 'm-1',
        ref: 'rack1/h1',
        state: 'pending',
        address,
        endpoint,
        trouble: /not in the inventory any more/,
      },
    ]);
    t.same(await without.describe('other'), []);
    await t.rejects(without.destroy(CLUSTER, 'm-1'), { code: 'unavailable', message: /rack1\/h1 .*put it back/ });
    t.ok(marked(`${CLUSTER}/m-1`, first.home).length > 0, 'it runs on');
    await without.stop();

    const again = provider();
    await again.start();
    t.equal(await state(again, 'm-1'), 'running');
    await again.destroy(CLUSTER, 'm-1');
    t.same(marked(`${CLUSTER}/m-1`, first.home), []);
    t.same(await again.describe(CLUSTER), []);
  });
});

t.test('a claim that is not there is no evidence; one that names another owner is', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider }) => {
    const [host] = hosts.hosts;
    if (!host) return;
    const one = provider();
    await one.start();
    await one.create(order('m-1'));
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    const claim = join(host.home, '.cerebro-machine', 'claim');
    const text = readFileSync(claim, 'utf8');
    rmSync(claim);
    await eventually(async () => (await one.describe(CLUSTER))[0]?.trouble !== undefined, 'it is told');
    t.match(await one.describe(CLUSTER), [{ state: 'pending', trouble: /rack1\/h1 has no claim file any more/ }]);
    writeFileSync(claim, text);
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it is back with its claim');
    t.equal((await one.describe(CLUSTER))[0]?.trouble, undefined);

    rmSync(claim);
    await one.destroy(CLUSTER, 'm-1');
    t.same(marked(`${CLUSTER}/m-1`, host.home), [], 'what bears its mark is ended, with or without a claim');

    rmSync(join(host.home, '.cerebro-machine'), { recursive: true });
    await one.create(order('m-2'));
    writeFileSync(claim, JSON.stringify({ clusterId: 'other', machineId: 'm-9', intent: 'i' }));
    await eventually(async () => (await state(one, 'm-2')) === 'gone', 'it is another cluster’s');
    for (const pid of marked(`${CLUSTER}/m-2`, host.home)) process.kill(pid, 'SIGKILL');
  });
});

t.test('a claim that cannot be read keeps its host', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider }) => {
    const folder = join(hosts.hosts[0]?.home ?? '', '.cerebro-machine');
    mkdirSync(folder);
    writeFileSync(join(folder, 'claim'), 'half of');
    const one = provider();
    await one.start();
    await t.rejects(one.create(order('m-1')), { message: /rack1\/h1 is not taken: its claim file cannot be read/ });
    t.equal(readFileSync(join(folder, 'claim'), 'utf8'), 'half of');
  });
});

t.test('a folder with other things in it is not claimed, and what others put into ours stays', async (t) => {
  await withInventory(t, 1, async ({ hosts, provider }) => {
    const folder = join(hosts.hosts[0]?.home ?? '', '.cerebro-machine');
    const one = provider();
    await one.start();
    for (const name of ['data', '.hidden', 'claim.txt']) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, name), 'theirs');
      const message = new RegExp(`rack1/h1 is not taken: ${join(folder, name)} is there and not ours`);
      await t.rejects(one.create(order('m-1')), { code: 'unavailable', message });
      t.same(readdirSync(folder), [name]);
      rmSync(folder, { recursive: true });
    }
    mkdirSync(join(folder, 'home'), { recursive: true }); // a recipe's last breath
    await one.create(order('m-1'));
    await eventually(async () => (await state(one, 'm-1')) === 'running', 'it runs');
    writeFileSync(join(folder, 'theirs'), 'not ours');
    writeFileSync(join(folder, 'claim.half.new'), '');
    await one.destroy(CLUSTER, 'm-1');
    t.same(readdirSync(folder), ['theirs']);
  });
});

t.test('an inventory with mistakes is refused with where', async (t) => {
  const host = { name: 'h1', address: 'a', cpu: 1, mem: 1 };
  const problems = (value: unknown): string =>
    config
      .safeParse(value)
      .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
      .join('; ') ?? '';
  t.match(problems({ zones: { rack1: { hosts: [host, host] } } }), /zones.rack1.hosts: two hosts have the same name/);
  t.match(problems({ zones: { rack1: { hosts: [{ ...host, access: { prot: 22 } }] } } }), /access: .*prot/);
  for (const folder of ['.', '..', '~', '~/', '/', '//', './', 'a/..', '../a', './a', '/etc', '/home', '~deploy/a'])
    t.match(problems({ zones: {}, folder }), /folder: /, folder);
  for (const folder of ['.cerebro-machine', 'a', 'a/b', '/srv/cerebro', 'a..b'])
    t.equal(problems({ zones: {}, folder }), '');
  t.match(
    problems({ zones: { rack1: { access: { host_keys: ['AAAA'] }, hosts: [host] } } }),
    /a host key is "TYPE BASE64"/,
  );
});

t.test('without a command, Cerebro itself is brought to the host, answers there, and is wiped with it', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(1);
  const [host] = hosts.hosts;
  if (!host) throw new Error('a host was asked for');
  const authority = await TestAuthority.create();
  const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
  const clock = new SystemClock();
  const dataDir = join(hosts.folder, 'data');
  // A stand-in for the runtime: a hundred megabytes need not be brought here.
  const runtime = join(hosts.folder, 'node');
  writeFileSync(runtime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const port = await freePort();
  const options = config.parse({
    access: { keys: [hosts.key], user: host.user },
    zones: { rack1: { hosts: [{ name: 'h1', address: '127.0.0.1', cpu: 2, mem: 1024, access: { port: host.port } }] } },
    look_every: 0.3,
    sudo: process.getuid?.() === 0,
    sitter: { port, service: 'plain' },
  });
  const deployment = new MachineSitterDeployment({
    package: new SitterPackage({
      cache: join(hosts.folder, 'cache'),
      selfCommand: ['node', join(packageRoot, 'dist/core/main.js')],
      runtimes: { [process.arch]: runtime },
    }),
    identities: {
      issue: (id) => authority.machine(id),
      greet: (id, endpoint) => client.greet({ id, endpoint }),
    },
    clock,
  });
  const sitters = new DeployedSitters({
    deployment,
    settings: options.sitter,
    asRoot: options.sudo,
    logger: silentLogger,
  });
  const connections = new SshConnections(new HostKeyPins(join(dataDir, 'known_hosts')));
  const provider = new SshProvider({ clock, logger: silentLogger, dataDir, connections, sitters }, options);
  try {
    await provider.start();
    await provider.create(order('m-1'));
    await eventually(async () => (await state(provider, 'm-1')) === 'running', 'it runs');
    const endpoint = `https://127.0.0.1:${port}`;
    t.equal((await provider.describe(CLUSTER))[0]?.endpoint, endpoint);
    await eventually(
      () =>
        client.greet({ id: 'm-1', endpoint }).then(
          () => true,
          () => false,
        ),
      'it answers',
    );
    t.ok(marked(`${CLUSTER}/m-1`, host.home).length > 0);
    await provider.destroy(CLUSTER, 'm-1');
    t.same(marked(`${CLUSTER}/m-1`, host.home), []);
    t.same(readdirSync(host.home), []);
  } finally {
    await provider.stop();
    endMarked(host.home);
    await client.close();
    await hosts.remove();
  }
});
