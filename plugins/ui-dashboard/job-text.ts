import { stringify } from 'yaml';
import type { JobSpec } from '../../core/model/job.ts';

/** A job as a job file, every default written out. Long commands stay on one line. */
export function yamlOf(spec: JobSpec): string {
  return stringify(spec, { lineWidth: 0 });
}

/** The same job with another number of copies in one zone. */
export function scaled(spec: JobSpec, zone: string, count: number): JobSpec {
  const entry = { ...spec.deployment_layout[zone], count };
  return { ...spec, deployment_layout: { ...spec.deployment_layout, [zone]: entry } };
}

/** The same job without copies anywhere: what stopping it amounts to. */
export function emptied(spec: JobSpec): JobSpec {
  const layout = Object.entries(spec.deployment_layout).map(([zone, entry]) => [zone, { ...entry, count: 0 }]);
  return { ...spec, deployment_layout: Object.fromEntries(layout) };
}
