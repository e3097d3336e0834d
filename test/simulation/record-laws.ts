import type { Cloud } from './cloud.ts';
import type { Commit, Ledger } from './ledger.ts';
import { LossLaws } from './loss-laws.ts';
import { PlacementLaws } from './placement-laws.ts';
import { RollOutLaws } from './roll-out-laws.ts';
import { RunLaws } from './run-laws.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** What must hold after a commit, seen from one side; `truth` is the world as it is, not as anybody believes. */
export interface Law {
  check(commit: Commit, by: SitterProcess): void;
}

export interface LawParts {
  world: World;
  ledger: Ledger;
  truth: Cloud;
}

/** All laws of records. A new one is a class like those here, and stands in this list. */
export class RecordLaws implements Law {
  readonly #laws: readonly Law[];

  constructor(parts: LawParts, names: Law) {
    this.#laws = [new PlacementLaws(parts), new RollOutLaws(parts), new RunLaws(parts), new LossLaws(parts), names];
  }

  check(commit: Commit, by: SitterProcess): void {
    for (const law of this.#laws) law.check(commit, by);
  }
}
