import type { JobSpec } from '../model/job.ts';

/** Whether a machine is of a kind that a job's `place` allows. */
export function suitsPlace(
  { name, labels = {} }: { name: string; labels?: Readonly<Record<string, string>> | undefined },
  { place }: Pick<JobSpec, 'place'>,
): boolean {
  if (place.instance_types.length > 0 && !place.instance_types.includes(name)) return false;
  return Object.entries(place.machine).every(([label, value]) => labels[label] === value);
}
