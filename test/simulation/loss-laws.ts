import type { MachineRecord } from '../../core/model/machine.ts';
import type { Changed, Commit } from './ledger.ts';
import type { Law, LawParts } from './record-laws.ts';
import type { SitterProcess } from './sitter-process.ts';

/** Silence that is beyond doubt at the time of a commit: `unreachable_after`, and what a slow store may add. */
const SURELY_SILENT_MS = 16_000;

/** When machines may be given up. */
export class LossLaws implements Law {
  readonly #parts: LawParts;

  constructor(parts: LawParts) {
    this.#parts = parts;
  }

  check({ machines }: Commit, by: SitterProcess): void {
    const { world, truth } = this.#parts;
    const lost = machines.flatMap(({ before, after }) =>
      before && before.state !== 'lost' && after?.state === 'lost' ? [after] : [],
    );
    for (const { id, reason } of lost) {
      if (reason.startsWith('the provider says') && truth.isThere(id))
        world.violate('a machine is lost on evidence', `${id} is given up (${reason}), but it is there`);
    }
    const silent = lost.filter(({ reason }) => reason.startsWith('not heard'));
    if (silent.length > 0) this.#brakes(silent, machines, by);
  }

  #brakes(lost: readonly MachineRecord[], changed: readonly Changed<MachineRecord>[], by: SitterProcess): void {
    const { world, ledger } = this.#parts;
    const braked = (sentence: string): void => world.violate('the brakes are respected', sentence);
    const now = world.clock.now();
    const awake = now - by.awakeSince;
    if (awake < world.settings.startup_grace * 1000)
      braked(`${by.name} gives up ${lost[0]?.id} ${awake / 1000} s after it began or thawed`);
    const before = new Map(ledger.machines);
    for (const change of changed) if (change.before) before.set(change.id, change.before);
    const serving = [...before.values()].filter(({ state }) => state === 'ready' || state === 'draining');
    const silent = serving.filter(
      ({ id, stateSince }) => now - Math.max(by.heardAt.get(id) ?? 0, by.awakeSince, stateSince) > SURELY_SILENT_MS,
    );
    // A person has ordered its replacement, which is there: that says more than a share.
    const isReplaced = (id: string): boolean =>
      before.get(id)?.state === 'draining' &&
      serving.some((other) => other.replaces === id && other.state === 'ready' && !silent.includes(other));
    const zones = new Set(serving.map(({ zone }) => zone));
    if (zones.size > 1 && silent.length === serving.length)
      braked(`${lost[0]?.id} is given up while all zones are silent`);
    for (const zone of zones) {
      if (!lost.some((machine) => machine.zone === zone && !isReplaced(machine.id))) continue;
      const down = silent.filter((machine) => machine.zone === zone).length;
      const all = serving.filter((machine) => machine.zone === zone).length;
      if (down > 1 && down / all > world.settings.replace_brake)
        braked(`a machine is given up while ${down} of ${all} of ${zone} are silent`);
    }
  }
}
