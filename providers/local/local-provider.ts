import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type {
  FleetFound,
  FoundMachine,
  Instance,
  MachineOrder,
  MachineProvider,
  ProviderAction,
} from '../../core/contracts/machine-provider.ts';
import type { ProcessTable } from '../../core/contracts/process-table.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { ProgressListeners } from '../remotes/progress-listeners.ts';
import { LocalMachine, type LocalMachineServices } from './local-machine.ts';
import { LocalRemote } from './local-remote.ts';
import { dropDrafts, isDraft } from './machine-folder.ts';
import { killMarked, MACHINE_MARKER } from './machine-processes.ts';
import { readTaskFolder } from './read-task-folder.ts';
import type { Config } from './schema.ts';

interface Services {
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  dataDir: string;
  selfCommand: readonly string[];
}

/** Machines that are folders and processes of this host: for trying Cerebro out, for development, and for a single big server. */
export class LocalProvider implements MachineProvider {
  readonly name = 'local';
  readonly actions: Record<string, ProviderAction> = {
    crash: {
      description: 'ends the machine as a power cut would',
      run: async (id) => {
        await this.#machine(id).powerOff('its power was cut');
        return `${id} has no power any more: its sitter and its tasks are dead`;
      },
    },
  };
  readonly #config: Config;
  readonly #folder: string;
  readonly #machines = new Map<string, LocalMachine>();
  readonly #damaged = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #progress = new ProgressListeners();
  readonly onProgress = this.#progress.add;
  readonly #machineServices: LocalMachineServices;

  constructor(services: Services, config: Config) {
    this.#config = config;
    this.#folder = config.folder ?? join(services.dataDir, 'machines');
    this.#machineServices = {
      clock: services.clock,
      logger: services.logger,
      processes: services.processes,
      selfCommand: services.selfCommand,
      maxRestartsPerMinute: config.max_restarts_per_minute,
      ownAddresses: config.own_addresses,
      onChange: () => {
        for (const listener of this.#listeners) listener();
      },
      onProgress: this.#progress.tell,
    };
  }

  /** Takes up the machines that are there: sitters that run are adopted, those that do not are started. */
  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    dropDrafts(this.#folder, (pid) => this.#machineServices.processes.read(pid) !== undefined);
    this.#takeUp();
  }

  async stop(): Promise<void> {
    for (const machine of this.#machines.values()) machine.unwatch();
    this.#machines.clear();
  }

  types(zone: string): readonly MachineType[] {
    if (!this.#config.zones.some((name) => zone === `${this.name}-${name}`)) return [];
    return this.#config.machine_types.map(({ price, ...type }) => (price === undefined ? type : { ...type, price }));
  }

  async create(order: MachineOrder): Promise<Instance> {
    // Another cluster sitter that shares the folder may have made it, and may have ended before it could say so.
    this.#takeUp();
    const known = this.#machines.get(order.machineId);
    if (known) {
      if (known.intent !== order.intent)
        throw new CerebroError('conflict', `${order.machineId} exists already, by another order`);
      return known.instance();
    }
    const machine = LocalMachine.create(join(this.#folder, order.machineId), order, this.#machineServices);
    this.#machines.set(machine.id, machine);
    machine.watch();
    return machine.instance();
  }

  async describe(clusterId: string): Promise<Instance[]> {
    this.#takeUp();
    return [...this.#machines.values()]
      .filter((machine) => machine.clusterId === clusterId)
      .map((machine) => machine.instance());
  }

  async survey(): Promise<FleetFound> {
    const machines = [...this.#machines.values()].map((machine) => {
      const instance = machine.instance();
      const { name, cpu, mem } = machine.type;
      const sold = this.types(instance.zone).find((type) => type.name === name);
      return { ...instance, type: { name, cpu: cpu ?? sold?.cpu ?? 0, mem: mem ?? sold?.mem ?? 0 } };
    });
    return { machines, problems: [] };
  }

  async readTasks({ machineId }: FoundMachine): Promise<TaskDefinition[]> {
    return readTaskFolder(join(this.#machine(machineId).folder, 'tasks'));
  }

  async destroy(clusterId: string, machineId: string): Promise<void> {
    const machine = this.#machines.get(machineId);
    if (!machine) {
      // Its folder was lost or damaged: its processes bear its mark all the same.
      const { processes, clock } = this.#machineServices;
      await killMarked(processes, clock, (marker) => marker === `${clusterId}/${machineId}`);
      if (this.#damaged.delete(machineId)) await rm(join(this.#folder, machineId), { recursive: true, force: true });
      return;
    }
    if (machine.clusterId !== clusterId)
      throw new CerebroError('forbidden', `${machineId} belongs to another cluster and is left alone`);
    await machine.remove();
    this.#machines.delete(machineId);
  }

  async remote(instance: { machineId: string }): Promise<Remote> {
    const machine = this.#machine(instance.machineId);
    const home = join(machine.folder, 'home');
    mkdirSync(home, { recursive: true });
    return new LocalRemote(home, { [MACHINE_MARKER]: `${machine.clusterId}/${machine.id}` });
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async login({ machineId }: { machineId: string }): Promise<MachineLogin> {
    return { kind: 'folder', machine: machineId, folder: this.#machine(machineId).folder };
  }

  async renewIdentity(machineId: string, identity: TlsIdentity): Promise<void> {
    this.#machine(machineId).renewIdentity(identity);
  }

  async suspend(clusterId: string): Promise<void> {
    await Promise.all(
      [...this.#machines.values()]
        .filter((machine) => machine.clusterId === clusterId)
        .map((machine) => machine.suspend()),
    );
    // Nothing of this cluster's is left, not even of machines whose folders were lost.
    const { processes, clock } = this.#machineServices;
    await killMarked(processes, clock, (marker) => marker.startsWith(`${clusterId}/`));
  }

  /** Takes up machines that are not known yet: those of an earlier run, and those of others that share the folder. */
  #takeUp(): void {
    for (const name of readdirSync(this.#folder)) {
      if (isDraft(name) || this.#machines.has(name) || this.#damaged.has(name)) continue;
      const machine = this.#load(name);
      if (!machine) continue;
      this.#machines.set(machine.id, machine);
      machine.watch();
    }
  }

  /** undefined: no machine. A folder whose file cannot be read is kept aside until the cluster gives that machine up. */
  #load(name: string): LocalMachine | undefined {
    try {
      return LocalMachine.load(join(this.#folder, name), this.#machineServices);
    } catch (error) {
      this.#damaged.add(name);
      this.#machineServices.logger.error(
        { machine: name, err: error },
        'the files of a local machine cannot be read; it counts as gone',
      );
      return undefined;
    }
  }

  #machine(id: string): LocalMachine {
    const machine = this.#machines.get(id);
    if (machine && existsSync(machine.folder)) return machine;
    throw new CerebroError('not_found', `there is no local machine "${id}"`);
  }
}
