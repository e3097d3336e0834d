import type { Instance, MachineOrder, MachineProvider } from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineType } from '../../core/model/plan.ts';

/** A provider that sells in zone fake-a and delivers nothing until it is told to; what it was asked for is written down. */
export class StubbornProvider implements MachineProvider {
  readonly name = 'fake';
  readonly orders: MachineOrder[] = [];
  refusal: string | null = null;
  readonly #instances = new Map<string, Instance>();

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  types(zone: string): readonly MachineType[] {
    return zone === 'fake-a' ? [{ name: 'one', cpu: 1, mem: 1000 }] : [];
  }

  async create(order: MachineOrder): Promise<Instance> {
    this.orders.push(order);
    if (this.refusal !== null) throw new CerebroError('unavailable', this.refusal);
    const { clusterId, machineId, zone, intent } = order;
    const instance: Instance = {
      ref: `i-${machineId}`,
      clusterId,
      machineId,
      zone,
      intent,
      state: 'pending',
      address: null,
      endpoint: null,
    };
    this.#instances.set(machineId, instance);
    return instance;
  }

  async describe(): Promise<Instance[]> {
    return [...this.#instances.values()];
  }

  async destroy(_clusterId: string, machineId: string): Promise<void> {
    this.#instances.delete(machineId);
  }

  async remote(): Promise<Remote> {
    throw new CerebroError('unavailable', 'there is nobody to lay hands on');
  }

  onChange(): void {
    // nothing ever changes here by itself
  }
}
