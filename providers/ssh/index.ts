import { join } from 'node:path';
import { definePlugin } from '../../core/define-plugin.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { HostKeyPins } from '../remotes/host-key-pins.ts';
import { SshConnections } from '../remotes/ssh-connections.ts';
import { DeployedSitters } from './deployed-sitters.ts';
import { config } from './schema.ts';
import { SshProvider } from './ssh-provider.ts';
import { StartedSitters } from './started-sitters.ts';

export const plugin = definePlugin({
  id: 'provider-ssh',
  point: 'machine-provider',
  config,
  needs: ['clock', 'logger', 'dataDir', 'selfCommand', 'identities'],
  create: ({ clock, logger, dataDir, selfCommand, identities }, options) => {
    const folder = join(dataDir, 'ssh');
    const { sitter, sudo } = options;
    const pack = new SitterPackage({ cache: join(folder, 'packages'), selfCommand, runtimes: sitter.runtimes });
    const deployment = new MachineSitterDeployment({ package: pack, identities, clock });
    const sitters =
      sitter.command === undefined
        ? new DeployedSitters({ deployment, settings: sitter, asRoot: sudo, logger })
        : new StartedSitters(sitter.command, sitter);
    const connections = new SshConnections(new HostKeyPins(join(folder, 'known_hosts')));
    return new SshProvider({ clock, logger, dataDir, connections, sitters }, options);
  },
});
