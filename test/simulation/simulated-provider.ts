import type { MachineOrder, MachineProvider } from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { type Cloud, TYPES, ZONES } from './cloud.ts';
import type { EffectLaws } from './effect-laws.ts';
import { FaultyCalls } from './faulty-calls.ts';
import type { Network } from './network.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 15_000;

export interface ProviderParts {
  world: World;
  cloud: Cloud;
  network: Network;
  laws: EffectLaws;
}

/** Sells the cloud's machines to one process. */
export class SimulatedProvider implements MachineProvider {
  readonly name = 'sim';
  readonly #parts: ProviderParts;
  readonly #process: SitterProcess;
  readonly #calls: FaultyCalls;

  constructor(parts: ProviderParts, process: SitterProcess) {
    this.#parts = parts;
    this.#process = process;
    this.#calls = new FaultyCalls(parts.world, process, 'provider');
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  types: MachineProvider['types'] = (zone) => (ZONES.some((served) => served === zone) ? TYPES : []);

  create: MachineProvider['create'] = (order: MachineOrder) => {
    const { cloud, laws } = this.#parts;
    laws.onCreate(order, this.#process);
    return this.#call(`create ${order.machineId}`, () => cloud.create(order));
  };

  describe: MachineProvider['describe'] = (clusterId) =>
    this.#call('describe', () => this.#parts.cloud.list(clusterId), false);

  destroy: MachineProvider['destroy'] = (clusterId, machineId) => {
    const { cloud, laws } = this.#parts;
    laws.onDestroy(clusterId, machineId, this.#process);
    return this.#call(`destroy ${machineId}`, () => cloud.destroy(clusterId, machineId));
  };

  remote: MachineProvider['remote'] = async ({ machineId }) => {
    if (this.#parts.cloud.ofMachine(machineId)?.machine.up !== true)
      throw new CerebroError('unavailable', `there is no way onto ${machineId}`);
    return IDLE_HANDS;
  };

  onChange: MachineProvider['onChange'] = (listener) =>
    this.#parts.cloud.onChange(() => this.#process.deliver(listener));

  #call<T>(what: string, act: () => T, told = true): Promise<T> {
    const reachable = (): boolean => this.#parts.network.reachesProvider();
    return this.#calls.make({ what, timeoutMs: TIMEOUT_MS, reachable, act, told });
  }
}

/** Recipes of the simulation only take time; what they do with their hands does not matter here. */
const IDLE_HANDS: Remote = {
  run: async () => ({ code: 0, stdout: '', stderr: '' }),
  sudo: async () => ({ code: 0, stdout: '', stderr: '' }),
  put: async () => false,
  putFolder: async () => 0,
  write: async () => undefined,
  get: async () => undefined,
  close: async () => undefined,
};
