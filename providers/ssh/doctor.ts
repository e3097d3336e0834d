import type { ProviderReport } from '../../core/contracts/machine-provider.ts';
import { messageOf } from '../../core/errors.ts';
import type { Finding } from '../../core/model/finding.ts';
import { judgeHost } from '../../recipes/machine-sitter/target-facts.ts';
import { TargetHands } from '../../recipes/machine-sitter/target-hands.ts';
import { HostKeyPins } from '../remotes/host-key-pins.ts';
import { SshConnections } from '../remotes/ssh-connections.ts';
import { readClaim } from './claimed-host.ts';
import { SITTER_FOLDER } from './deployed-sitters.ts';
import type { InventoryHost } from './inventory.ts';
import type { Config } from './schema.ts';

/** Hosts that are looked at together. */
const AT_ONCE = 16;

export interface SshInspection {
  hosts: readonly InventoryHost[];
  /** Host keys that are remembered. */
  pins: HostKeyPins;
  config: Config;
  /** Milliseconds since the epoch. */
  now: number;
}

/** A first contact here is none that is remembered. */
class UnchangedPins extends HostKeyPins {
  override add(): void {
    // who looks changes nothing
  }
}

/** Looks at every host of the inventory as an order would, and changes nothing, here or there. */
export async function inspectSsh({ pins, ...inspection }: SshInspection): Promise<ProviderReport> {
  const findings: Finding[] = [];
  const { hosts } = inspection;
  if (hosts.length === 0)
    findings.push({
      about: 'inventory',
      grade: 'bad',
      found: 'it has no host',
      advice: 'name some in "zones" of the plugin\'s config',
    });
  const connections = new SshConnections(new UnchangedPins(pins.path));
  try {
    for (let n = 0; n < hosts.length; n += AT_ONCE) {
      const some = hosts.slice(n, n + AT_ONCE).map((host) => inspectHost(host, connections, inspection));
      findings.push(...(await Promise.all(some)));
    }
  } finally {
    connections.close();
  }
  return { findings, texts: [] };
}

async function inspectHost(
  host: InventoryHost,
  connections: SshConnections,
  { config, now }: Pick<SshInspection, 'config' | 'now'>,
): Promise<Finding> {
  const finding = (grade: Finding['grade'], found: string, advice: string | null = null): Finding => ({
    about: host.id,
    grade,
    found,
    advice,
  });
  const remote = connections.remote(host.target);
  try {
    const { folder, sudo, sitter } = config;
    const [name] = (await remote.run(['uname', '-n'])).stdout.trim().split('\n');
    const login = `${host.target.user}@${remote.place} (${name})`;
    if (sudo) await remote.sudo(['true']);
    const owner = await readClaim(remote, `${folder}/claim`);
    const whose = owner === undefined ? 'free' : `machine ${owner.machineId} of cluster ${owner.clusterId}`;
    if (sitter.command !== undefined) return finding('good', `${login}: ${whose}`);
    const target = { remote, machineId: '', address: host.address, folder: `${folder}/${SITTER_FOLDER}`, asRoot: sudo };
    const facts = await new TargetHands({ ...target, ...(sitter.port !== 0 && { port: sitter.port }) }).facts();
    const arch = judgeHost(facts, now / 1000);
    if (arch !== process.arch && sitter.runtimes[arch] === undefined)
      return finding(
        'bad',
        `${login} is ${arch}, and no Node for that is named`,
        `name one: "sitter": {"runtimes": {"${arch}": "/path/to/node"}}`,
      );
    if (owner === undefined && facts.listening)
      return finding(
        'bad',
        `${login}: the machine sitter's port is taken there`,
        'name another: "sitter": {"port": …}',
      );
    if (!facts.bash)
      return finding('worse', `${login}: ${whose}; it has no bash`, 'install it, or write commands for /bin/sh');
    return finding('good', `${login}: ${whose}, Linux on ${arch}`);
  } catch (error) {
    return finding('bad', messageOf(error), 'mend what it says, and ask again');
  } finally {
    await remote.close();
  }
}
