import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { definePlugin } from '../../core/define-plugin.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { HostKeyPins } from '../remotes/host-key-pins.ts';
import { SshConnections } from '../remotes/ssh-connections.ts';
import { sshLogin } from '../remotes/ssh-login.ts';
import { Ec2Provider } from './ec2-provider.ts';
import { parsePrices } from './price-table.ts';
import { publicKeysOf } from './public-keys.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'provider-ec2',
  point: 'machine-provider',
  config,
  needs: ['clock', 'logger', 'dataDir', 'selfCommand', 'identities'],
  create: (services, options) => {
    const connections = new SshConnections(new HostKeyPins(join(services.dataDir, 'ec2', 'known_hosts')));
    return new Ec2Provider(
      {
        ...services,
        prices: () => parsePrices(JSON.parse(readFileSync(new URL('./prices.json', import.meta.url), 'utf8'))),
        publicKeys: publicKeysOf,
        ssh: {
          remote: (target) => connections.remote(target),
          login: (machineId, target) => sshLogin(connections, machineId, target),
          close: () => connections.close(),
        },
        sitters: new MachineSitterDeployment({
          package: new SitterPackage({
            cache: join(services.dataDir, 'ec2', 'packages'),
            selfCommand: services.selfCommand,
            runtimes: options.sitter.runtimes,
          }),
          identities: services.identities,
          clock: services.clock,
        }),
        greet: (machineId, endpoint) => services.identities.greet(machineId, endpoint),
      },
      options,
    );
  },
});
