import type { MachineLogin, SshHostLogin } from '../../core/model/machine-login.ts';
import type { SshConnections } from './ssh-connections.ts';
import { expandHome } from './ssh-credentials.ts';
import type { SshTarget } from './ssh-target.ts';

/** What a person's `ssh` needs to get where our connections go. The host is contacted first where its key is not known yet. */
export async function sshLogin(connections: SshConnections, machine: string, target: SshTarget): Promise<MachineLogin> {
  const hosts = [target, ...(target.jump ? [target.jump] : [])];
  if (hosts.some((host) => hostKeysOf(connections, host).length === 0)) await connections.reach(target);
  return {
    kind: 'ssh',
    machine,
    host: hostLogin(connections, target),
    jump: target.jump ? hostLogin(connections, target.jump) : null,
  };
}

function hostLogin(connections: SshConnections, target: SshTarget): SshHostLogin {
  const { address, port, user, keys, agent = null } = target;
  return { address, port, user, keys: keys.map(expandHome), agent, hostKeys: hostKeysOf(connections, target) };
}

function hostKeysOf(connections: SshConnections, target: SshTarget): string[] {
  if (target.hostKeys.length > 0) return [...target.hostKeys];
  return connections.pins.of(target.pinName).map(({ type, blob }) => `${type} ${blob.toString('base64')}`);
}
