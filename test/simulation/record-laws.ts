import type { CopyRecord } from '../../core/model/copy.ts';
import { copiesIn, type JobRecord } from '../../core/model/job.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { Changed, Commit, Ledger } from './ledger.ts';
import { RollingCopies } from './rolling-copies.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** Silence that is beyond doubt at the time of a commit: `unreachable_after`, and what a slow store may add. */
const SURELY_SILENT_MS = 16_000;
const SLACK = 1e-6;

export interface RecordLawsParts {
  world: World;
  ledger: Ledger;
  /** Whether a task of this version runs well on its machine, in truth. */
  runsWell(copy: CopyRecord, version: number): boolean;
  /** Whether the machine's instance is there, in truth. */
  isThere(machine: string): boolean;
}

/** What must hold after every commit. */
export class RecordLaws {
  readonly #parts: RecordLawsParts;
  readonly #rolling: RollingCopies;

  constructor(parts: RecordLawsParts) {
    this.#parts = parts;
    this.#rolling = new RollingCopies(parts);
  }

  check(commit: Commit, by: SitterProcess): void {
    if (commit.copies.length > 0) {
      this.#capacity(commit);
      this.#placements(commit.copies);
      this.#rolling.check(commit);
    }
    if (commit.machines.length > 0) this.#losses(commit.machines, by);
  }

  #capacity(commit: Commit): void {
    const { ledger, world } = this.#parts;
    for (const id of new Set(commit.copies.flatMap(({ after }) => after?.machine ?? []))) {
      const machine = ledger.machines.get(id);
      if (!machine) {
        world.violate('copies are on machines that there are', `a copy is placed on ${id}, which has no record`);
        continue;
      }
      const copies = ledger.onMachine(id);
      const cpu = copies.reduce((sum, copy) => sum + copy.cpu, 0);
      const mem = copies.reduce((sum, copy) => sum + copy.mem, 0);
      if (cpu > machine.cpu + SLACK || mem > machine.mem + SLACK) {
        const sentence = `${id} holds ${cpu} of ${machine.cpu} cores and ${mem} of ${machine.mem} MB`;
        world.violate('no machine holds more than it has', sentence);
      }
    }
  }

  /** New copies fill what is missing, and go beyond it only to take the place of those on machines that are being emptied. */
  #placements(changed: readonly Changed<CopyRecord>[]): void {
    const { ledger, world } = this.#parts;
    const placed = changed.flatMap(({ before, after }) => (!before && after ? [after] : []));
    // A leader that is stopped by the same plan that gave it a follower takes it along with the next.
    const stoppedJustNow = new Set(
      changed.flatMap(({ before, after }) => (before?.wanted === 'run' && after ? [after.id] : [])),
    );
    const staying = (copy: CopyRecord): boolean =>
      copy.wanted === 'run' && STAYS.has(ledger.machines.get(copy.machine)?.state ?? 'lost');
    for (const copy of placed) {
      const job = ledger.jobs.get(copy.job);
      if (!job) continue;
      const sameJob = [...ledger.copies.values()].filter((other) => other.job === copy.job && staying(other));
      const leader = job.spec.linked_job;
      if (leader === undefined) {
        const wanted = wantedIn(job, copy.zone);
        const have = sameJob.filter(({ zone }) => zone === copy.zone).length;
        if (have > wanted)
          world.violate(
            'no copy beyond what is wanted',
            `"${job.name}" has ${have} of ${wanted} copies in ${copy.zone}`,
          );
        continue;
      }
      const here = sameJob.filter(({ machine }) => machine === copy.machine).length;
      if (here > 1)
        world.violate('no copy beyond what is wanted', `"${job.name}" has ${here} copies on ${copy.machine}`);
      const led = ledger
        .onMachine(copy.machine)
        .some((other) => other.job === leader && (other.wanted === 'run' || stoppedJustNow.has(other.id)));
      if (!led)
        world.violate(
          'a linked job runs where its leader runs',
          `${copy.id} is placed on ${copy.machine} without "${leader}"`,
        );
    }
  }

  #losses(machines: readonly Changed<MachineRecord>[], by: SitterProcess): void {
    const { world } = this.#parts;
    const lost = machines.flatMap(({ before, after }) =>
      before && before.state !== 'lost' && after?.state === 'lost' ? [after] : [],
    );
    for (const machine of lost) {
      if (machine.reason.startsWith('the provider says') && this.#parts.isThere(machine.id))
        world.violate(
          'a machine is lost on evidence',
          `${machine.id} is given up (${machine.reason}), but it is there`,
        );
    }
    const silent = lost.filter(({ reason }) => reason.startsWith('not heard'));
    if (silent.length > 0) this.#brakes(silent, machines, by);
  }

  #brakes(lost: readonly MachineRecord[], changed: readonly Changed<MachineRecord>[], by: SitterProcess): void {
    const { world, ledger } = this.#parts;
    const now = world.clock.now();
    const awake = now - by.awakeSince;
    if (awake < world.settings.startup_grace * 1000) {
      const sentence = `${by.name} gives up ${lost[0]?.id} ${awake / 1000} s after it began or thawed`;
      world.violate('the brakes are respected', sentence);
    }
    const before = new Map(ledger.machines);
    for (const change of changed) if (change.before) before.set(change.id, change.before);
    const serving = [...before.values()].filter(({ state }) => state === 'ready' || state === 'draining');
    const silent = serving.filter(
      ({ id, stateSince }) => now - Math.max(by.heardAt.get(id) ?? 0, by.awakeSince, stateSince) > SURELY_SILENT_MS,
    );
    const zones = new Set(serving.map(({ zone }) => zone));
    if (zones.size > 1 && silent.length === serving.length)
      world.violate('the brakes are respected', `${lost[0]?.id} is given up while all zones are silent`);
    for (const zone of zones) {
      if (!lost.some((machine) => machine.zone === zone)) continue;
      const down = silent.filter((machine) => machine.zone === zone).length;
      const all = serving.filter((machine) => machine.zone === zone).length;
      if (down > 1 && down / all > world.settings.replace_brake)
        world.violate(
          'the brakes are respected',
          `a machine is given up while ${down} of ${all} of ${zone} are silent`,
        );
    }
  }
}

const STAYS: ReadonlySet<string> = new Set(['requested', 'booting', 'deploying', 'ready']);

function wantedIn(job: JobRecord, zone: string): number {
  const entry = job.spec.deployment_layout[zone];
  return entry ? copiesIn(entry) : 0;
}
