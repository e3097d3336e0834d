import { tmpdir } from 'node:os';
import type { Instance, MachineOrder } from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { StubbornProvider } from './stubborn-provider.ts';

/** A provider that delivers at once: its machines are spoken to through a `ReadyLink`. */
export class WillingProvider extends StubbornProvider {
  /** Instances that are there besides, whatever was ordered. */
  readonly others: Instance[] = [];
  readonly ended: string[] = [];
  /** What `destroy` waits for. */
  mayEnd: Promise<void> = Promise.resolve();

  override async create(order: MachineOrder): Promise<Instance> {
    return running(await super.create(order));
  }

  override async describe(): Promise<Instance[]> {
    return [...(await super.describe()).map(running), ...this.others];
  }

  override async destroy(clusterId: string, machineId: string): Promise<void> {
    await this.mayEnd;
    this.ended.push(machineId);
    await super.destroy(clusterId, machineId);
  }

  override async remote(): Promise<Remote> {
    return new LocalRemote(tmpdir(), {});
  }
}

function running(instance: Instance): Instance {
  return { ...instance, state: 'running', address: '127.0.0.1', endpoint: 'https://127.0.0.1:1' };
}
