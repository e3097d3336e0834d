import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { killMarked } from '../../providers/local/machine-processes.ts';
import { Ec2StandIn } from '../fakes/ec2/ec2-stand-in.ts';
import type { FakeInstance } from '../fakes/ec2/ec2-world.ts';
import { freePort } from '../fakes/free-port.ts';
import { type SshdHost, SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const ZONES = ['us-west-2a', 'us-west-2b'];

/** Instances that are sshd hosts of this one, one for each zone: each is born with the host key of its user data, and dies whole. */
class Hosts {
  readonly standIn = new Ec2StandIn();
  readonly #byZone = new Map<string, { host: SshdHost; sitterPort: number; mark: string }>();
  #sshd: SshdHosts | null = null;
  #turn: Promise<void> = Promise.resolve();
  /** Where machines are made whose sshd does not come up before this is resolved. */
  readonly slow = new Map<string, Promise<void>>();
  endpoint = '';

  async open(): Promise<void> {
    this.#sshd = await SshdHosts.start(0);
    for (const az of ZONES) {
      const mark = `ec2-e2e-${process.pid}/${az}`;
      const host = await this.#sshd.add({ CEREBRO_MACHINE: mark });
      await host.stop(); // nobody is there before it is made
      this.#byZone.set(az, { host, sitterPort: await freePort(), mark });
    }
    const { world } = this.standIn;
    world.onMade = (instance) => this.#inTurn(() => this.#boot(instance));
    world.onEnded = (instance) => this.#inTurn(() => this.#cutPower(instance));
    this.endpoint = await this.standIn.listen();
  }

  /** plugins.json with EC2 as the only provider. */
  plugins(runtime: string): object {
    const { plugins } = JSON.parse(readFileSync(join(packageRoot, 'plugins.json'), 'utf8')) as {
      plugins: { use: string }[];
    };
    const others = plugins
      .filter(({ use }) => !use.startsWith('./providers/local'))
      .map((plugin) => ({ ...plugin, use: plugin.use.replace(/^\./, packageRoot) }));
    const zones = ZONES.map((az) => {
      const { host, sitterPort } = this.#of(az);
      const ssh = { user: host.user, port: host.port, keys: [this.#sshd?.key ?? ''] };
      return [az, { ssh, sitter_port: sitterPort }];
    });
    const config = {
      regions: { 'us-west-2': { zones: Object.fromEntries(zones) } },
      instance_types: ['t3.small', 'm6i.large'],
      security_groups: ['sg-01'],
      address: 'private',
      credentials: { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'a-secret-of-the-test' },
      endpoint: this.endpoint,
      api: { poll: 0.2, settle: 2, status_poll: 1 },
      sitter: {
        folder: 'cerebro',
        as_root: process.getuid?.() === 0,
        runtimes: { [process.arch]: runtime },
        service: 'plain',
      },
    };
    return { plugins: [...others, { use: join(packageRoot, 'providers', 'ec2'), modes: ['cluster'], config }] };
  }

  /** As a failing host: no order, no farewell. */
  fail(az: string): void {
    const { world } = this.standIn;
    for (const instance of world.living())
      if (instance.az === az) world.end(instance, 'Server.InternalError', 'Server.InternalError: its host has failed');
  }

  async close(): Promise<void> {
    await this.#turn;
    for (const { mark } of this.#byZone.values()) await kill(mark);
    await this.standIn.close();
    await this.#sshd?.remove();
  }

  async #boot(instance: FakeInstance): Promise<void> {
    const { host } = this.#of(instance.az);
    const { ssh_keys } = JSON.parse(instance.userData.replace('#cloud-config\n', '')) as {
      ssh_keys: { ed25519_private: string; ed25519_public: string };
    };
    writeFileSync(join(host.folder, 'host_key'), ssh_keys.ed25519_private, { mode: 0o600 });
    writeFileSync(join(host.folder, 'host_key.pub'), `${ssh_keys.ed25519_public}\n`);
    await this.slow.get(instance.az);
    await host.start();
  }

  async #cutPower(instance: FakeInstance): Promise<void> {
    const { host, mark } = this.#of(instance.az);
    await host.stop();
    await kill(mark);
    rmSync(host.home, { recursive: true, force: true, maxRetries: 30 });
    mkdirSync(host.home);
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work);
  }

  #of(az: string): { host: SshdHost; sitterPort: number; mark: string } {
    const found = this.#byZone.get(az);
    if (!found) throw new Error(`no host for ${az}`);
    return found;
  }
}

function kill(mark: string): Promise<void> {
  return killMarked(new ProcTable(), new SystemClock(), (marker) => marker === mark);
}

t.test('from a job to EC2 instances that run it, through the loss of one, to none', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = new Hosts();
  await hosts.open();
  const cluster = new EmbeddedCluster();
  t.teardown(async () => {
    await cluster.remove();
    await hosts.close();
  });
  const { world } = hosts.standIn;
  // A small one in the place of Node's hundred megabytes.
  const runtime = join(cluster.folder, 'node');
  writeFileSync(runtime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const pluginsFile = join(cluster.folder, 'plugins.json');
  writeFileSync(pluginsFile, JSON.stringify(hosts.plugins(runtime)));
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
  let boot = (): void => undefined;
  hosts.slow.set(
    'us-west-2b',
    new Promise((resolve) => {
      boot = resolve;
    }),
  );
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
