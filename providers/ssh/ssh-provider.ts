import { join } from 'node:path';
import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type {
  Instance,
  MachineOrder,
  MachineProvider,
  NoCapacity,
  ProviderReport,
} from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { ProgressListeners } from '../remotes/progress-listeners.ts';
import type { SshConnections } from '../remotes/ssh-connections.ts';
import { sshLogin } from '../remotes/ssh-login.ts';
import { ClaimedHost, claimFor, MACHINE_MARKER } from './claimed-host.ts';
import { inspectSsh } from './doctor.ts';
import { hostsFor, type InventoryHost, inventoryOf, typesOf } from './inventory.ts';
import { type MachineNote, MachineNotes } from './machine-notes.ts';
import type { Config } from './schema.ts';
import type { HostHands, Sitters } from './sitters.ts';
import { SshMachine, type SshMachineServices } from './ssh-machine.ts';
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

  constructor(services: Services, config: Config) {
    this.#config = config;
    this.#hosts = inventoryOf(config, this.name);
    const folder = join(services.dataDir, 'ssh');
    this.#connections = services.connections;
    this.#notes = new MachineNotes(join(folder, 'machines'));
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
    const known = this.#notes.get(order.machineId);
    if (known && known.intent !== order.intent)
      return Promise.reject(new CerebroError('conflict', `${order.machineId} exists already, by another order`));
    const underWay = this.#orders.get(order.machineId);
    if (underWay) return underWay;
    const creating = this.#create(order).finally(() => this.#orders.delete(order.machineId));
    this.#orders.set(order.machineId, creating);
    return creating;
  }

  async describe(clusterId: string): Promise<Instance[]> {
    const machines = [...this.#machines.values()].map((machine) => machine.instance());
    const unlisted = this.#notes.all().filter((note) => !this.#hosts.some(({ id }) => id === note.host));
    return [...machines, ...unlisted.map(unlistedInstance)].filter((instance) => instance.clusterId === clusterId);
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
    const running = this.#machines.get(order.machineId);
    if (running) return running.instance();
    const note = this.#notes.get(order.machineId);
    const candidates = note ? this.#hosts.filter((host) => host.id === note.host) : hostsFor(this.#hosts, order);
    const refusals: string[] = [];
    let taken = 0;
    for (const host of candidates) {
      const other = this.#notes
        .all()
        .find(({ host: id, machineId }) => id === host.id && machineId !== order.machineId);
      if (other) taken += 1;
      const refusal = other ? `${host.id} is ${other.machineId}` : await this.#tryHost(order, host);
      if (typeof refusal !== 'string') return refusal;
      refusals.push(refusal);
    }
    const why = refusals.length > 0 ? refusals.join('; ') : 'the inventory has none';
    const sentence = `no host of the size ${order.type.name} is free in ${order.zone}: ${why}`;
    // Only where none could be free: one that does not answer may do so soon.
    if (taken < candidates.length || candidates.length === 0) throw new CerebroError('unavailable', sentence);
    const details: NoCapacity = { zone: order.zone, type: order.type.name, why: 'sold_out' };
    throw new CerebroError('no_capacity', sentence, { details });
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
    const hands = this.#handsOf(note, host);
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

  #take(note: MachineNote, host: InventoryHost, hands = this.#handsOf(note, host)): SshMachine {
    const machine = new SshMachine(note, host, hands, this.#machineServices);
    this.#machines.set(note.machineId, machine);
    return machine;
  }

  /** Wipes the host. Throws `unavailable` while it cannot be reached: what runs there runs on, and is ended when it is back. */
  async #release(note: MachineNote, host: InventoryHost): Promise<void> {
    const hands = this.#handsOf(note, host);
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

  #hostOf(machineId: string): InventoryHost {
    const note = this.#notes.get(machineId);
    const host = this.#hosts.find(({ id }) => id === note?.host);
    if (host) return host;
    throw new CerebroError('not_found', `no host of the inventory is the machine "${machineId}"`);
  }

  #handsOf({ clusterId, machineId }: MachineNote, host: InventoryHost): HostHands {
    const mark = { [MACHINE_MARKER]: `${clusterId}/${machineId}` };
    const { folder } = this.#config;
    return {
      machineId,
      address: host.address,
      remote: this.#connections.remote(host.target, folder),
      marked: (env) => this.#connections.remote(host.target, folder, { ...env, ...mark }),
    };
  }
}
