import type { SeededRandom } from '../simulation/seeded-random.ts';

/** What can go wrong, and how long it lasts (seconds, from and to). */
const KINDS = {
  /** A member of etcd loses its power, and gets it back. */
  'member-killed': [1, 8],
  'member-frozen': [1, 8],
  /** A member reaches no other, and no other it. */
  'member-alone': [2, 12],
  /** One direction between two members. */
  'members-half-cut': [2, 10],
  'sitter-killed': [0.2, 6],
  /** Sometimes for longer than its lease. */
  'sitter-frozen': [1, 15],
  /** Stopped in order and started again, as for an upgrade. */
  'sitter-upgraded': [0.2, 2],
  /** It reaches no member of etcd. */
  'sitter-without-store': [2, 14],
  /** It reaches one member less. */
  'sitter-store-link-cut': [2, 10],
  /** Every member answers it late, and sometimes too late. */
  'sitter-store-slow': [2, 12],
  /** The others do not reach it. */
  'sitter-not-reached': [1, 8],
  /** The sitter of a machine. */
  'machine-killed': [0.2, 1],
  'machine-frozen': [1, 7],
  /** No cluster sitter reaches it, sometimes for longer than until it is given up. */
  'machine-alone': [6, 20],
  /** One cluster sitter does not reach it. */
  'wire-cut': [2, 14],
  /** What one cluster sitter and it say to each other takes long, and sometimes longer than it is waited for. */
  'wire-slow': [2, 10],
} as const;
export type FaultKind = keyof typeof KINDS;

export interface Fault {
  /** Seconds from the beginning. */
  at: number;
  lasts: number;
  kind: FaultKind;
  /** Which member, sitter or machine. */
  target: number;
  /** The member at the other end, or the machine, where there is one. */
  other: number;
  /** Milliseconds that all takes longer, where something is slow. */
  delayMs: number;
}

/** Faults for so many seconds, some at the same time; never two of a kind of thing at the same thing. */
export function planFaults(random: SeededRandom, seconds: number): Fault[] {
  const faults: Fault[] = [];
  const kinds = Object.keys(KINDS) as FaultKind[];
  for (let at = 2; at < seconds; at += random.between(0.5, 4)) {
    const kind = random.pick(kinds);
    const [least, most] = KINDS[kind];
    const target = random.int(0, 2);
    const other = (target + random.int(1, 2)) % 3;
    const delayMs = Math.round(random.between(50, 3000));
    const lasts = Math.min(random.between(least, most), seconds - at);
    const thing = kind.split('-')[0] ?? '';
    const busy = faults.some(
      (fault) => fault.kind.startsWith(thing) && fault.target === target && fault.at + fault.lasts + 1 > at,
    );
    if (!busy) faults.push({ at: round(at), lasts: round(lasts), kind, target, other, delayMs });
  }
  return faults;
}

export function sentenceOf({ at, lasts, kind, target, other, delayMs }: Fault): string {
  const slow = kind.endsWith('-slow') ? ` by ${delayMs} ms` : '';
  const between = kind === 'members-half-cut' || kind.startsWith('wire-') ? ` -> ${other}` : '';
  return `${at.toFixed(1).padStart(6)} s  ${kind} ${target}${between}${slow}, for ${lasts.toFixed(1)} s`;
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
