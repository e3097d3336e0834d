import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../core/engine/package-root.ts';
import { SystemClock } from '../../../core/engine/system-clock.ts';
import { ProcTable } from '../../../core/machine/proc-table.ts';
import { killMarked } from '../../../providers/local/machine-processes.ts';
import { freePort } from '../free-port.ts';
import { type SshdHost, SshdHosts } from '../sshd-hosts.ts';
import { Ec2StandIn } from './ec2-stand-in.ts';
import type { FakeInstance } from './ec2-world.ts';

const ZONES = ['us-west-2a', 'us-west-2b'];

/** Instances that are sshd hosts of this one, one for each zone: each is born with the host key of its user data, and dies whole. */
export class Ec2Hosts {
  readonly standIn = new Ec2StandIn();
  readonly #byZone = new Map<string, { host: SshdHost; sitterPort: number; mark: string }>();
  #sshd: SshdHosts | null = null;
  #turn: Promise<void> = Promise.resolve();
  /** What went wrong while instances were made or ended: told at the end. */
  readonly #failures: unknown[] = [];
  /** Zones whose machines do not come up before they are let. */
  readonly #held = new Map<string, { up: Promise<void>; letUp: () => void }>();
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

  /** plugins.json with EC2 as the only provider, written into a folder with a runtime for its machines. */
  writePlugins(folder: string): string {
    // A small one in the place of Node's hundred megabytes.
    const runtime = join(folder, 'node');
    writeFileSync(runtime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    const path = join(folder, 'plugins.json');
    writeFileSync(path, JSON.stringify(this.#plugins(runtime)));
    return path;
  }

  #plugins(runtime: string): object {
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

  /** From now on machines of this zone have no sshd until the returned function is called. */
  holdBoots(az: string): () => void {
    let letUp = (): void => undefined;
    const up = new Promise<void>((resolve) => {
      letUp = resolve;
    });
    this.#held.set(az, { up, letUp });
    return letUp;
  }

  /** As a failing host: no order, no farewell. */
  fail(az: string): void {
    const { world } = this.standIn;
    for (const instance of world.living())
      if (instance.az === az) world.end(instance, 'Server.InternalError', 'Server.InternalError: its host has failed');
  }

  async close(): Promise<void> {
    // One that a test holds which has failed would keep everything from its end.
    for (const { letUp } of this.#held.values()) letUp();
    await this.#turn;
    for (const { mark } of this.#byZone.values()) await kill(mark);
    await this.standIn.close();
    await this.#sshd?.remove();
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'instances could not be made or ended');
  }

  async #boot(instance: FakeInstance): Promise<void> {
    const { host } = this.#of(instance.az);
    const beside = this.standIn.world.living().find(({ id, az }) => az === instance.az && id !== instance.id);
    if (beside) throw new Error(`${instance.az} has one host, and ${beside.id} lives there`);
    const { ssh_keys } = JSON.parse(instance.userData.replace('#cloud-config\n', '')) as {
      ssh_keys: { ed25519_private: string; ed25519_public: string };
    };
    writeFileSync(join(host.folder, 'host_key'), ssh_keys.ed25519_private, { mode: 0o600 });
    writeFileSync(join(host.folder, 'host_key.pub'), `${ssh_keys.ed25519_public}\n`);
    await this.#held.get(instance.az)?.up;
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
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      this.#failures.push(error);
    });
  }

  /** The sshd of a zone's instance: whether it can be logged in to. */
  sshd(az: string): SshdHost {
    return this.#of(az).host;
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
