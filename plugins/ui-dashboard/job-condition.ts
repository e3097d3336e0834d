import type { JobView, ZoneCounts } from '../../core/contracts/cluster-api.ts';

/** One word for a whole job. `waiting`: it runs by turns, and it is not its turn. */
export type JobCondition =
  | 'removing'
  | 'stopped'
  | 'failing'
  | 'failed'
  | 'paused'
  | 'rolling'
  | 'running'
  | 'waiting'
  | 'starting'
  | 'ready';

export const JOB_CONDITIONS: readonly JobCondition[] = [
  'failing',
  'failed',
  'starting',
  'rolling',
  'paused',
  'running',
  'ready',
  'waiting',
  'stopped',
  'removing',
];

export function jobCondition(job: JobView): JobCondition {
  const zones = Object.values(job.zones);
  if (job.state === 'removing') return 'removing';
  if (job.stopped) return 'stopped';
  if (zones.some((zone) => zone.failing > 0)) return 'failing';
  if (job.rollout?.state === 'failed') return 'failed';
  if (byTurns(job)) {
    if (job.lastRun?.state === 'running') return 'running';
    return job.lastRun?.state === 'failed' ? 'failed' : 'waiting';
  }
  if (job.rollout) return job.rollout.state === 'paused' ? 'paused' : 'rolling';
  return zones.every((zone) => zone.ready >= zone.wanted) ? 'ready' : 'starting';
}

/** Whether something is wrong with it that a person may have to look at. */
export function inTrouble(condition: JobCondition): boolean {
  return condition === 'failing' || condition === 'failed';
}

/** Whether it runs in runs that end: between them, no copies are wanted. */
export function byTurns(job: JobView): boolean {
  return job.nextRun !== null || job.lastRun?.state === 'running';
}

export interface JobZone extends ZoneCounts {
  name: string;
}

/** By name. What is stopped, or waits for its turn, wants nothing now. */
export function zonesOf(job: JobView): JobZone[] {
  const idle = job.stopped || (byTurns(job) && job.lastRun?.state !== 'running');
  return Object.entries(job.zones)
    .map(([name, counts]) => ({ name, ...counts, wanted: idle ? 0 : counts.wanted }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** A job as a row of a table. */
export interface JobRow {
  name: string;
  condition: JobCondition;
  version: number;
  linkedJob: string | null;
  zones: JobZone[];
  moreZones: number;
  total: ZoneCounts;
  nextRun: string | null;
  rollout: JobView['rollout'];
}

/** More zones than that of one job are counted, not shown. */
const SHOWN_ZONES = 6;

export function jobRow(job: JobView): JobRow {
  const zones = zonesOf(job);
  const total = { wanted: 0, ready: 0, starting: 0, failing: 0 };
  for (const zone of zones) {
    total.wanted += zone.wanted;
    total.ready += zone.ready;
    total.starting += zone.starting;
    total.failing += zone.failing;
  }
  return {
    name: job.name,
    condition: jobCondition(job),
    version: job.version,
    linkedJob: job.linkedJob,
    zones: zones.slice(0, SHOWN_ZONES),
    moreZones: Math.max(0, zones.length - SHOWN_ZONES),
    total,
    nextRun: job.nextRun,
    rollout: job.rollout,
  };
}
