import type { CopyRecord } from './copy.ts';
import type { JobRecord, JobRun } from './job.ts';
import type { MachineRecord } from './machine.ts';
import type { TaskStatus } from './task.ts';

/** A size that a provider sells in a zone. */
export interface MachineType {
  name: string;
  /** Cores and MB that it offers to copies. */
  cpu: number;
  mem: number;
  /** Per hour, where the provider knows it; the currency is the settings' own. */
  price?: number;
  /** What machines of this size bear, for `place.machine`. */
  labels?: Record<string, string>;
}

/** What a size is known by in a zone: its name, and what it bears. */
export function sizeKey(
  zone: string,
  size: { name: string; labels?: Readonly<Record<string, string>> | undefined },
): string {
  const labels = Object.entries(size.labels ?? {})
    .map(([label, value]) => `${label}=${value}`)
    .sort();
  return [`${zone}/${size.name}`, ...labels].join(' ');
}

/** What is known of a machine beside its record: the observer's last word, in milliseconds since the epoch. */
export interface MachineContact {
  /** When its stream last said anything; 0: never since this cluster sitter started. */
  heardAt: number;
  /** When it was heard again after it could not be reached (ms since the epoch); absent: it never was away. */
  backSince?: number;
  /** A stream is open now. */
  connected: boolean;
  /** What the provider last said of the instance. `unknown` is no evidence of anything. */
  providerSays: 'running' | 'stopped' | 'gone' | 'unknown';
  /** What the provider knew that bodes ill for it, and when it was asked (ms since the epoch). */
  trouble: { sentence: string; askedAt: number } | null;
  /** The tasks as last reported; null until it has reported since this cluster sitter started. */
  tasks: ReadonlyMap<string, TaskStatus> | null;
}

/** An instance with our tag that no record knows. */
export interface Orphan {
  machineId: string;
  provider: string;
  zone: string;
  ref: string;
  /** Since when this cluster sitter has seen it (ms since the epoch). */
  since: number;
}

/** Everything that a plan is made from; nothing else may influence one. */
export interface ClusterSnapshot {
  /** Milliseconds since the epoch. */
  now: number;
  /** When this cluster sitter started to lead. */
  startedAt: number;
  jobs: ReadonlyMap<string, JobRecord>;
  machines: ReadonlyMap<string, MachineRecord>;
  copies: ReadonlyMap<string, CopyRecord>;
  contacts: ReadonlyMap<string, MachineContact>;
  /** Since when a machine has had no copies, as far as this cluster sitter has seen (ms since the epoch). */
  emptySince: ReadonlyMap<string, number>;
  /** By machine id. */
  orphans: ReadonlyMap<string, Orphan>;
  /** Machine ids of orphans that this store has never ordered, and what their provider calls them. */
  strangers?: ReadonlyMap<string, string>;
  /** Below these numbers, by zone, machines were ordered from a store before this one. */
  adoptedBelow?: ReadonlyMap<string, number>;
  /** Sizes of a zone (`ZONE/TYPE`) that could not be had, and until when they are left alone (ms since the epoch). */
  soldOut: ReadonlyMap<string, number>;
  /** The sizes on sale in a zone; empty: no provider serves it. */
  types(zone: string): readonly MachineType[];
  /** Why a zone sells nothing, or less than it should, as its provider says it; null or absent: nothing is wrong there. */
  complaint?(zone: string): string | null;
  /** The number that the next machine of a zone gets. */
  machineSerial(zone: string): number;
  limits: PlanLimits;
  /** Copies whose process is not to be ended yet, since names still lead to them, and when at the latest to ask again (ms since the epoch). */
  dnsHolds?: ReadonlyMap<string, number>;
  /** How long such a hold can last: a roll-out's deadline is later by that for jobs with names. */
  dnsWaitMs?: number;
}

export interface PlanLimits {
  maxIdle(zone: string): number;
  idleGraceMs: number;
  suspectAfterMs: number;
  unreachableAfterMs: number;
  lostAfterMs: number;
  replaceBrake: number;
  startupGraceMs: number;
  bootDeadlineMs: number;
  orphanGraceMs: number;
  /** The most machines in a zone, and the most that they may cost an hour; infinite where nobody said. */
  maxMachines(zone: string): number;
  maxSpend(zone: string): number;
}

/**
 * One change of the records, with its reason. A plan changes records only: what has to be done in the world
 * follows from the records (`decide/plan/due-effects.ts`), so every effect has its intent on disk first.
 */
export type Action =
  | { kind: 'order-machine'; machine: string; zone: string; type: MachineType; replaces: string | null; reason: string }
  | { kind: 'machine-state'; machine: string; to: MachineRecord['state']; reason: string }
  /** It may be given copies again. */
  | { kind: 'uncordon'; machine: string; reason: string }
  | {
      kind: 'place-copy';
      copy: string;
      job: string;
      version: number;
      zone: string;
      machine: string;
      cpu: number;
      mem: number;
      run: number | null;
      linked: Record<string, number>;
      /** The copy that it comes after: one whose machine is gone, or is being emptied. */
      insteadOf?: string;
      reason: string;
    }
  | {
      kind: 'update-copy';
      copy: string;
      version: number;
      cpu: number;
      mem: number;
      linked: Record<string, number>;
      reason: string;
    }
  /** The same version again: its job was restarted, or something that it is linked to was updated. */
  | { kind: 'restart-copy'; copy: string; jobRestarts: number; linked: Record<string, number>; reason: string }
  /** What is linked is noted without a restart. */
  | { kind: 'note-links'; copy: string; linked: Record<string, number> }
  | { kind: 'roll-done'; job: string; version: number; reason: string }
  | { kind: 'roll-failed'; job: string; version: number; revertTo: number | null; reason: string }
  | { kind: 'copy-outcome'; copy: string; outcome: 'completed' | 'failed'; reason: string }
  | { kind: 'begin-run'; job: string; run: JobRun; scheduledUntil: number; reason: string }
  | { kind: 'end-run'; job: string; run: number; state: JobRun['state']; reason: string }
  | { kind: 'stop-copy'; copy: string; reason: string }
  | { kind: 'forget-copy'; copy: string; reason: string }
  | { kind: 'forget-job'; job: string; reason: string }
  /** A task that was found on an adopted machine becomes a copy of its job, as it runs. */
  | {
      kind: 'take-copy';
      copy: string;
      job: string;
      machine: string;
      zone: string;
      version: number;
      generation: number;
      /** It does not run as its version says, and is to be restarted. */
      restart: boolean;
      cpu: number;
      mem: number;
      reason: string;
    }
  /** An instance with our tag that this store has never ordered: it is left alone until it is adopted, or gone. */
  | { kind: 'note-stranger'; machine: string; ref: string; reason: string };

/** Something that cannot be done now, in one sentence; shown, and told once. */
export interface Complaint {
  about: { job?: string; machine?: string; zone?: string };
  sentence: string;
  /** Set where people are to be alerted: the key of that story. */
  alert?: string;
}

export interface Plan {
  actions: Action[];
  complaints: Complaint[];
  /** When, without any news, the plan could come out differently (ms since the epoch). */
  wakeAt: number | null;
}
