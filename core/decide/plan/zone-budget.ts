import type { MachineType } from '../../model/plan.ts';
import { SLACK } from './sizes.ts';
import type { WorkingState } from './working-state.ts';

/** What a zone may still have: machines (`max_machines`), and money an hour (`spend_ceiling`). */
export class ZoneBudget {
  readonly #work: WorkingState;
  readonly #zone: string;
  #machines = 0;
  #spend = 0;

  constructor(work: WorkingState, zone: string) {
    this.#work = work;
    this.#zone = zone;
    for (const machine of work.snapshot.machines.values()) {
      if (machine.zone !== zone || machine.state === 'lost' || work.lost.includes(machine)) continue;
      this.#machines += 1;
      this.#spend += machine.price ?? 0;
    }
    // What this plan has ordered already counts too.
    for (const action of work.actions) {
      if (action.kind !== 'order-machine' || action.zone !== zone) continue;
      this.#machines += 1;
      this.#spend += action.type.price ?? 0;
    }
  }

  /** Counts one more machine of a type, or says why there may be none for the `waiting` copies. */
  allows(type: MachineType, waiting: number): boolean {
    const { limits } = this.#work.snapshot;
    const copies = waiting === 1 ? '1 copy waits' : `${waiting} copies wait`;
    const most = limits.maxMachines(this.#zone);
    if (this.#machines + 1 > most) {
      this.#work.complain(
        { zone: this.#zone },
        `${copies} for a machine in ${this.#zone}, which has ${this.#machines} and may have ${most} (max_machines): room there, or a higher limit, is waited for`,
        `ceiling/${this.#zone}`,
      );
      return false;
    }
    const ceiling = limits.maxSpend(this.#zone);
    const spend = this.#spend + (type.price ?? 0);
    if (spend > ceiling + SLACK) {
      this.#work.complain(
        { zone: this.#zone },
        `${copies} for a machine in ${this.#zone}: with one more ${type.name} it would cost ${round(spend)} an hour, and may cost ${ceiling} (spend_ceiling): room there, or a higher ceiling, is waited for`,
        `ceiling/${this.#zone}`,
      );
      return false;
    }
    this.#machines += 1;
    this.#spend = spend;
    return true;
  }
}

function round(price: number): number {
  return Math.round(price * 10_000) / 10_000;
}
