import type { JobRecord } from '../../model/job.ts';

/** MB that weigh as much as one core when sizes are compared and no price is known. */
const MB_PER_CORE = 2048;
/** Sums of tenths do not come out even: .1 + .2 > .3. */
export const SLACK = 1e-6;

/** One number for a size, to compare sizes by. */
export function weigh(cpu: number, mem: number): number {
  return cpu + mem / MB_PER_CORE;
}

/** Whether a machine is of a kind that the job's `place` allows. */
export function suits(type: string, labels: Readonly<Record<string, string>>, job: JobRecord): boolean {
  const { instance_types: types, machine } = job.spec.place;
  if (types.length > 0 && !types.includes(type)) return false;
  for (const label in machine) if (labels[label] !== machine[label]) return false;
  return true;
}
