import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { MachineOrder, MachineProvider } from '../../core/contracts/machine-provider.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import type { SshRemote } from '../../providers/remotes/ssh-remote.ts';
import { sshAccess, sshTarget } from '../../providers/remotes/ssh-target.ts';
import { config } from '../../providers/ssh/schema.ts';
import { SshProvider } from '../../providers/ssh/ssh-provider.ts';
import { StartedSitters } from '../../providers/ssh/started-sitters.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { end } from '../fakes/ssh-inventory.ts';
import { type SshdHost, SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';

export const CLUSTER = 'cluster-of-the-suite';

/** The built program, as the cluster sitter would start it; without the loaders that tap gives to every Node. */
const selfCommand = [
  '/usr/bin/env',
  '-u',
  'NODE_OPTIONS',
  process.execPath,
  join(packageRoot, 'dist', 'core', 'main.js'),
];

export interface Inventory {
  hosts: SshdHosts;
  /** A provider over these hosts, without those of these names; two with the same name have the same memory. */
  provider(name?: string, without?: readonly string[]): SshProvider;
  /** Hands in our folder of a host. */
  remote(host: SshdHost): SshRemote;
  cleanUp(): Promise<void>;
}

export async function inventory(count: number): Promise<Inventory> {
  const hosts = await SshdHosts.start(count);
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-ssh-'));
  const made: SshProvider[] = [];
  const provider = (name = 'one', without: readonly string[] = []): SshProvider => {
    const dataDir = join(folder, name);
    const entries = hosts.hosts.map(({ address, port, user }, n) => ({
      name: `h${n + 1}`,
      address,
      cpu: 2,
      mem: 1024,
      access: { port, user },
    }));
    const options = {
      access: { keys: [hosts.key] },
      zones: { rack1: { hosts: entries.filter((entry) => !without.includes(entry.name)) } },
      look_every: 0.3,
    };
    const clock = new SystemClock();
    const parsed = config.parse(options);
    const sitters = new StartedSitters(selfCommand, parsed.sitter);
    const connections = new SshConnections(new HostKeyPins(join(dataDir, 'known_hosts')));
    const one = new SshProvider({ clock, logger: silentLogger, dataDir, connections, sitters }, parsed);
    made.push(one);
    return one;
  };
  const own = new SshConnections(new HostKeyPins(join(folder, 'own', 'known_hosts')));
  const remote = ({ address, port, user }: SshdHost): SshRemote =>
    own.remote(sshTarget(address, sshAccess.parse({ user, port, keys: [hosts.key] })), '.cerebro-machine');
  const cleanUp = async (): Promise<void> => {
    own.close();
    for (const one of made) await one.stop();
    for (const host of hosts.hosts) endMarked(host.home);
    await hosts.remove();
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  };
  return { hosts, provider, remote, cleanUp };
}

/** Ends what bears the mark of the machine in that home. Marks of other tests are left alone. */
export function endMarked(home: string): void {
  const claim = join(home, '.cerebro-machine', 'claim');
  if (!existsSync(claim) || !readFileSync(claim, 'utf8').startsWith('{')) return;
  const { clusterId, machineId } = JSON.parse(readFileSync(claim, 'utf8')) as { clusterId: string; machineId: string };
  for (const pid of marked(`${clusterId}/${machineId}`, home)) end(pid);
}

/** Processes of a machine, by its mark; several hosts here may have one of the same name, so by their home too. */
export function marked(mark: string, home: string): number[] {
  const table = new ProcTable();
  return table
    .pids()
    .filter((pid) => table.environment(pid, 'CEREBRO_MACHINE') === mark && table.environment(pid, 'HOME') === home)
    .filter((pid) => table.read(pid)?.state !== 'Z');
}

export async function withInventory(
  t: Test,
  count: number,
  body: (inventory: Inventory) => Promise<void>,
): Promise<void> {
  if (skipWithoutSshd(t)) return;
  const made = await inventory(count);
  try {
    await body(made);
  } finally {
    await made.cleanUp();
  }
}

export function order(machineId: string, clusterId = CLUSTER): MachineOrder {
  const type = { name: 'ssh.2x1024', cpu: 2, mem: 1024 };
  return {
    clusterId,
    machineId,
    zone: 'ssh-rack1',
    type,
    intent: `intent-of-${clusterId}-${machineId}`,
    token: 'a-token',
    identity: { authority: 'a', certificate: 'c', key: 'k' },
  };
}

export async function state(
  provider: MachineProvider,
  machineId: string,
  clusterId = CLUSTER,
): Promise<string | undefined> {
  return (await provider.describe(clusterId)).find((instance) => instance.machineId === machineId)?.state;
}
