import type { Settings } from '../../core/model/settings.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SitterProcess } from './sitter-process.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Whom a cluster sitter calls. */
export type CallKind = 'store' | 'provider' | 'machine' | 'dns';

/** How often calls of one kind go wrong, and how: each a share of all calls. */
export interface CallFaults {
  /** Refused before anything was done. */
  refused: number;
  /** Done, but the answer is lost. */
  lostAnswer: number;
  /** Done only after the caller has given up. */
  late: number;
  /** Delivered twice. */
  twice: number;
  /** The longest that the way there takes (ms), and back again as long. */
  slowMs: number;
}

export const NO_FAULTS: CallFaults = { refused: 0, lostAnswer: 0, late: 0, twice: 0, slowMs: 20 };

/** What was promised always to hold and did not. */
export interface Violation {
  invariant: string;
  sentence: string;
}

export const BIRTH = Date.UTC(2026, 0, 1);

/** What everything in one life shares: its time, its chance, its story, and what was found to be wrong. */
export class World {
  readonly clock = new VirtualClock(BIRTH);
  readonly random: SeededRandom;
  readonly settings: Settings;
  readonly timeline: string[] = [];
  violation: Violation | null = null;
  /** No faults any more: whatever was broken is mended, and tasks behave. */
  calm = false;
  faults: Record<CallKind, CallFaults> = {
    store: NO_FAULTS,
    provider: NO_FAULTS,
    machine: NO_FAULTS,
    dns: NO_FAULTS,
  };
  /** When the store last refused a call, or did not answer it. */
  storeTroubledAt = Number.NEGATIVE_INFINITY;
  /** The cluster sitter's processes, oldest first; the newest that has the lease leads. */
  readonly processes: SitterProcess[] = [];
  /** The newest epoch that was given. */
  epoch = 0;

  /** Called when a task begins that may not run twice. */
  onLeashedStart: (job: string) => void = () => undefined;

  constructor(random: SeededRandom, settings: Settings) {
    this.random = random;
    this.settings = settings;
  }

  tell(sentence: string): void {
    const seconds = ((this.clock.now() - BIRTH) / 1000).toFixed(3).padStart(9);
    this.timeline.push(`${seconds}  ${sentence}`);
  }

  /** Only the first counts: what follows may come of it. */
  violate(invariant: string, sentence: string): void {
    if (this.violation) return;
    this.violation = { invariant, sentence };
    this.tell(`VIOLATION of "${invariant}": ${sentence}`);
  }

  after(ms: number, callback: () => void): void {
    this.clock.timer(ms, callback);
  }
}
