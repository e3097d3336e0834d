import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Ec2Provider, type Ec2Services } from '../../providers/ec2/ec2-provider.ts';
import { hostKeyOf } from '../../providers/ec2/host-key.ts';
import { parsePrices } from '../../providers/ec2/price-table.ts';
import prices from '../../providers/ec2/prices.json' with { type: 'json' };
import { publicKeysOf } from '../../providers/ec2/public-keys.ts';
import { config } from '../../providers/ec2/schema.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { Ec2StandIn } from '../fakes/ec2/ec2-stand-in.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

export const CLUSTER = 'cluster-of-the-suite';
export const ZONE = 'aws-us-west-2a';

type ConfigInput = z.input<typeof config>;

/** The provider, the real SDK and the stand-in, in a folder of their own. Machines are reached by a local remote: SSH has its own tests. */
export class Ec2UnderTest {
  readonly standIn = new Ec2StandIn();
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-ec2-'));
  readonly providers: Ec2Provider[] = [];
  endpoint = '';
  keyFile = '';

  static async open(): Promise<Ec2UnderTest> {
    const under = new Ec2UnderTest();
    under.endpoint = await under.standIn.listen();
    under.keyFile = join(under.folder, 'id_ed25519');
    const { privateKey } = hostKeyOf({ token: 'any', intent: 'key' });
    writeFileSync(under.keyFile, privateKey, { mode: 0o600 });
    return under;
  }

  settings(more: Partial<ConfigInput> = {}): ConfigInput {
    return {
      regions: { 'us-west-2': { zones: { 'us-west-2a': {}, 'us-west-2b': {} } } },
      instance_types: ['t3.small', 'm6i.large'],
      security_groups: ['sg-01'],
      ssh: { keys: [this.keyFile] },
      credentials: { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'a-secret-of-the-test' },
      endpoint: this.endpoint,
      ...more,
      api: { timeout: 10, attempts: 2, rate: 500, poll: 0.03, status_poll: 0.1, settle: 1, end: 20, ...more.api },
    };
  }

  provider(more: Partial<ConfigInput> = {}, services: Partial<Ec2Services> = {}): Ec2Provider {
    const made = new Ec2Provider(
      {
        clock: new SystemClock(),
        logger: silentLogger,
        dataDir: this.folder,
        prices: () => parsePrices(prices),
        ssh: {
          remote: ({ pinName }) => this.localRemote(pinName),
          login: async (machine) => ({ kind: 'folder', machine, folder: this.folder }),
          close: () => undefined,
        },
        publicKeys: publicKeysOf,
        sitters: null,
        greet: async () => Promise.reject(new Error('nobody answers')),
        ...services,
      },
      config.parse(this.settings(more)),
    );
    this.providers.push(made);
    return made;
  }

  /** A folder of this host in the instance's stead. */
  localRemote(instance: string): LocalRemote {
    const home = join(this.folder, `home-${instance}`);
    mkdirSync(home, { recursive: true });
    return new LocalRemote(home, {});
  }

  async close(): Promise<void> {
    for (const provider of this.providers) await provider.stop();
    await this.standIn.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }
}

export function orderOf(machineId: string, more: Partial<MachineOrder> = {}): MachineOrder {
  return {
    clusterId: CLUSTER,
    machineId,
    zone: ZONE,
    type: { name: 't3.small', cpu: 2, mem: 1792 },
    intent: `intent-of-${machineId}`,
    token: 'a-token',
    identity: { certificate: 'c', key: 'k', authority: 'a' },
    ...more,
  };
}
