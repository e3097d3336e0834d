import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import { assignment, type Ledger } from './ledger.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const INTENT_FIRST = 'every effect had its intent on record first';

/** What must hold whenever a cluster sitter reaches out into the world, at the moment when it does. */
export class EffectLaws {
  readonly #world: World;
  readonly #ledger: Ledger;

  constructor(world: World, ledger: Ledger) {
    this.#world = world;
    this.#ledger = ledger;
  }

  onCreate(order: MachineOrder, by: SitterProcess): void {
    if (!by.alive) return;
    const { machineId, intent } = order;
    if (this.#ledger.intents.get(machineId) !== intent)
      this.#world.violate(INTENT_FIRST, `${by.name} orders ${machineId}, and no record says so with this intent`);
    else if (by.leads && !this.#ledger.machines.has(machineId))
      this.#world.violate(INTENT_FIRST, `${by.name} orders ${machineId}, whose record is gone`);
  }

  onDestroy(clusterId: string, machineId: string, by: SitterProcess): void {
    if (!by.alive) return;
    if (clusterId !== this.#ledger.clusterId)
      this.#world.violate('nothing that is not ours is ended', `${by.name} ends ${machineId} of ${clusterId}`);
    // What bears our tag and stands on no record is an orphan, which is to be ended too.
    const record = this.#ledger.machines.get(machineId);
    if (record && !this.#ledger.condemned.has(machineId))
      this.#world.violate(INTENT_FIRST, `${by.name} ends ${machineId}, which is ${record.state}`);
    if (!record && !this.#ledger.intents.has(machineId))
      this.#world.violate(
        'nothing that is not ours is ended',
        `${by.name} ends ${machineId}, which never stood on record`,
      );
  }

  onPut(machine: string, { id, version }: TaskDefinition, by: SitterProcess): void {
    if (by.alive && !this.#ledger.assigned.has(assignment(machine, id, version)))
      this.#world.violate(INTENT_FIRST, `${by.name} starts ${assignment(machine, id, version)}, and no record says so`);
  }

  onRemove(machine: string, task: string, by: SitterProcess): void {
    const copy = this.#ledger.copies.get(task);
    if (by.leads && copy?.machine === machine && copy.wanted === 'run')
      this.#world.violate(
        INTENT_FIRST,
        `${by.name} removes ${task} from ${machine}, and its record says that it is to run there`,
      );
  }
}
