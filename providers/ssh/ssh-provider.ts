import { join } from 'node:path';
import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type {
  FleetFound,
  FoundMachine,
  Instance,
  MachineOrder,
  MachineProvider,
  ProviderReport,
} from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { ProgressListeners } from '../remotes/progress-listeners.ts';
import type { SshConnections } from '../remotes/ssh-connections.ts';
import { sshLogin } from '../remotes/ssh-login.ts';
import { ClaimedHost, claimFor, MACHINE_MARKER } from './claimed-host.ts';
import { inspectSsh } from './doctor.ts';
import { FoundHosts } from './found-hosts.ts';
import { HandsOnHosts } from './host-hands.ts';
import { hostsFor, type InventoryHost, inventoryOf, typesOf } from './inventory.ts';
import { type MachineNote, MachineNotes } from './machine-notes.ts';
import type { Config } from './schema.ts';
import type { Sitters } from './sitters.ts';
import { SshMachine, type SshMachineServices } from './ssh-machine.ts';
import { tryHosts } from './try-hosts.ts';
import { unlistedInstance, unlistedSentence } from './unlisted-machine.ts';

interface Services {
  clock: Clock;
  logger: Logger;
  dataDir: string;
  sitters: Sitters;
  connections: SshConnections;
}

/** Machines that are there already, reached by SSH: takes free hosts of an inventory, and gives them back wiped. */
export class SshProvider implements MachineProvider {
  readonly name = 'ssh';
  readonly #config: Config;
  readonly #hosts: readonly InventoryHost[];
  readonly #connections: SshConnections;
  readonly #notes: MachineNotes;
  readonly #machines = new Map<string, SshMachine>();
  /** Orders under way: the same one, asked for twice at once, is one. */
  readonly #orders = new Map<string, Promise<Instance>>();
  readonly #listeners = new Set<() => void>();
  readonly #progress = new ProgressListeners();
  readonly onProgress = this.#progress.add;
  readonly #machineServices: SshMachineServices;
  readonly #hands: HandsOnHosts;
  readonly #found: FoundHosts;
  /** The clusters that have asked for their machines: one, or two where it took another's name. */
  readonly #served = new Set<string>();

  constructor(services: Services, config: Config) {
    this.#config = config;
    this.#hosts = inventoryOf(config, this.name);
    const folder = join(services.dataDir, 'ssh');
    this.#connections = services.connections;
    this.#notes = new MachineNotes(join(folder, 'machines'));
    const { connections, sitters } = services;
    this.#hands = new HandsOnHosts(connections, config.folder);
    const found = { hosts: this.#hosts, connections, hands: this.#hands, sitters, folder: config.folder };
    this.#found = new FoundHosts(found);
    this.#machineServices = {
      clock: services.clock,
      logger: services.logger,
      sitters: services.sitters,
      asRoot: config.sudo,
      lookEveryMs: config.look_every * 1000,
      onChange: () => {
        for (const listener of this.#listeners) listener();
      },
      onProgress: this.#progress.tell,
      serves: (clusterId) => this.#served.has(clusterId),
      onFound: (note, where) => {
        const kept = this.#notes.get(note.machineId);
        if (kept?.intent !== note.intent || kept.endpoint === where.endpoint) return;
        this.#notes.set({ ...kept, ...where });
      },
    };
  }

  /** Takes up the machines that are there. A host that cannot be reached now does not hold up the start. */
  async start(): Promise<void> {
    this.#notes.load();
    await Promise.all(
      this.#notes.all().map(async (note) => {
        const host = this.#hosts.find(({ id }) => id === note.host);
        if (host) await this.#take(note, host).watch();
        else this.#machineServices.logger.warn({ machine: note.machineId, host: note.host }, unlistedSentence(note));
      }),
    );
  }

  async stop(): Promise<void> {
    const machines = [...this.#machines.values()];
    this.#machines.clear();
    await Promise.all(
      [...machines.map((machine) => machine.unwatch()), ...this.#orders.values()].map((end) =>
        end.catch(() => undefined),
      ),
    );
    this.#connections.close();
  }

  types(zone: string): readonly MachineType[] {
    return typesOf(this.#hosts, zone);
  }

  create(order: MachineOrder): Promise<Instance> {
    this.#served.add(order.clusterId);
    const known = this.#notes.get(order.machineId);
    if (known?.clusterId === order.clusterId && known.intent !== order.intent)
      return Promise.reject(new CerebroError('conflict', `${order.machineId} exists already, by another order`));
    const underWay = this.#orders.get(order.machineId);
    if (underWay) return underWay;
    const creating = this.#create(order).finally(() => this.#orders.delete(order.machineId));
    this.#orders.set(order.machineId, creating);
    return creating;
  }

  async describe(clusterId: string): Promise<Instance[]> {
    this.#served.add(clusterId);
    const machines = [...this.#machines.values()].map((machine) => machine.instance());
    const unlisted = this.#notes.all().filter((note) => !this.#hosts.some(({ id }) => id === note.host));
    return [...machines, ...unlisted.map(unlistedInstance)].filter((instance) => instance.clusterId === clusterId);
  }

  survey(): Promise<FleetFound> {
    return this.#found.survey();
  }

  readTasks(found: FoundMachine): Promise<TaskDefinition[]> {
    return this.#found.readTasks(found);
  }

  /** The claim on the host stays as it is; only we remember it from here on. */
  async takeOver(found: FoundMachine): Promise<void> {
    const { clusterId, machineId, intent, zone } = found;
    const host = await this.#found.confirm(found);
    const known = this.#notes.get(machineId);
    if (known?.clusterId === clusterId && known.intent === intent && this.#machines.has(machineId)) return;
    await this.#letGo(machineId);
    const note: MachineNote = { clusterId, machineId, intent, zone, host: host.id };
    this.#notes.set(note);
    await this.#take(note, host).watch();
  }

  async destroy(clusterId: string, machineId: string): Promise<void> {
    await this.#orders.get(machineId)?.catch(() => undefined);
    const note = this.#notes.get(machineId);
    if (!note) return;
    if (note.clusterId !== clusterId)
      throw new CerebroError('forbidden', `${machineId} belongs to another cluster and is left alone`);
    const host = this.#hosts.find(({ id }) => id === note.host);
    if (!host) throw new CerebroError('unavailable', unlistedSentence(note));
    await this.#machines.get(machineId)?.unwatch();
    this.#machines.delete(machineId);
    await this.#release(note, host);
    this.#notes.delete(machineId);
    this.#machineServices.onChange();
  }

  async remote(instance: { machineId: string }): Promise<Remote> {
    const host = this.#hostOf(instance.machineId);
    const note = this.#notes.get(instance.machineId);
    const mark = { [MACHINE_MARKER]: `${note?.clusterId}/${instance.machineId}` };
    return this.#connections.remote(host.target, `${this.#config.folder}/home`, mark);
  }

  login({ machineId }: { machineId: string }): Promise<MachineLogin> {
    return sshLogin(this.#connections, machineId, this.#hostOf(machineId).target);
  }

  async renewIdentity(machineId: string, identity: TlsIdentity): Promise<void> {
    const machine = this.#machines.get(machineId);
    if (!machine) throw new CerebroError('not_found', `no host of the inventory is the machine "${machineId}"`);
    await this.#machineServices.sitters.renew(machine.hands, identity);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  doctor(): Promise<ProviderReport> {
    const now = this.#machineServices.clock.now();
    return inspectSsh({ hosts: this.#hosts, pins: this.#connections.pins, config: this.#config, now });
  }

  async #create(order: MachineOrder): Promise<Instance> {
    // Of a cluster whose store was lost, or that was to be adopted and was not: its host is kept by its claim, not by our note.
    if (this.#notes.get(order.machineId)?.clusterId !== order.clusterId) await this.#letGo(order.machineId);
    const running = this.#machines.get(order.machineId);
    if (running) return running.instance();
    const note = this.#notes.get(order.machineId);
    const candidates = note ? this.#hosts.filter((host) => host.id === note.host) : hostsFor(this.#hosts, order);
    return tryHosts(order, candidates, this.#notes.all(), (host) => this.#tryHost(order, host));
  }

  /** The machine, or why this host cannot be it. What goes wrong after the claim is thrown: the host is the order's then. */
  async #tryHost(order: MachineOrder, host: InventoryHost): Promise<Instance | string> {
    const { clusterId, machineId, intent, zone } = order;
    const note: MachineNote = { clusterId, machineId, intent, zone, host: host.id };
    try {
      await this.#connections.reach(host.target);
    } catch (error) {
      return `${host.id}: ${messageOf(error)}`;
    }
    this.#notes.set(note);
    const hands = this.#hands.of(note, host);
    const refusal = await claimFor(note, new ClaimedHost(hands.remote, this.#config.sudo));
    if (refusal !== undefined) {
      this.#notes.delete(machineId);
      await hands.remote.close();
      return `${host.id} ${refusal}`;
    }
    await this.#machineServices.sitters.prepare(hands, order);
    const machine = this.#take(note, host, hands);
    void machine.watch(); // it never fails: what goes wrong is what it shows
    return machine.instance();
  }

  #take(note: MachineNote, host: InventoryHost, hands = this.#hands.of(note, host)): SshMachine {
    const machine = new SshMachine(note, host, hands, this.#machineServices);
    this.#machines.set(note.machineId, machine);
    return machine;
  }

  /** Wipes the host. Throws `unavailable` while it cannot be reached: what runs there runs on, and is ended when it is back. */
  async #release(note: MachineNote, host: InventoryHost): Promise<void> {
    const hands = this.#hands.of(note, host);
    const { sitters, logger } = this.#machineServices;
    const { clusterId, machineId } = note;
    const onDisorder = (err: unknown): void =>
      logger.warn({ machine: machineId, host: host.id, err }, 'a machine could not be ended in order, and is killed');
    try {
      const claimed = new ClaimedHost(hands.remote, this.#config.sudo);
      await claimed.release(clusterId, machineId, () => sitters.end(hands), onDisorder);
    } finally {
      await hands.remote.close();
    }
  }

  /** Forgets what is remembered of a machine; on its host nothing is touched. */
  async #letGo(machineId: string): Promise<void> {
    await this.#machines.get(machineId)?.unwatch();
    this.#machines.delete(machineId);
    this.#notes.delete(machineId);
  }

  #hostOf(machineId: string): InventoryHost {
    const note = this.#notes.get(machineId);
    const host = this.#hosts.find(({ id }) => id === note?.host);
    if (host) return host;
    throw new CerebroError('not_found', `no host of the inventory is the machine "${machineId}"`);
  }
}
