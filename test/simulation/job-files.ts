import type { JobSpec } from '../../core/model/job.ts';
import { ZONES } from './cloud.ts';
import { SUFFIXES } from './name-zones.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Jobs that people know. Each keeps its nature, whatever else they change about it. */
export const PLAIN = ['web', 'web', 'api', 'db', 'batch', 'tick', 'lone', 'lone'] as const;
/** Followers, each with its leader: a chain, and two of one leader. */
export const LINKED: readonly (readonly [string, string])[] = [
  ['log', 'web'],
  ['trace', 'log'],
  ['meter', 'web'],
];
export const JOBS: readonly string[] = [...PLAIN, ...LINKED.map(([name]) => name)];

/** A job file's entry as somebody may write it: `batch` and `tick` end, `tick` by a schedule; `lone` may never run twice. */
export function someJob(random: SeededRandom, name: (typeof PLAIN)[number]): object {
  const ends = name === 'batch' || name === 'tick';
  const behaviour = ends ? 'exits' : random.pick(['steady', 'steady', 'steady', 'steady', 'slow', 'flaps', 'ails']);
  return {
    task_configuration: {
      name,
      command: `sim ${behaviour} ${random.int(1, 3)}`,
      cpu: random.pick([0.25, 0.5, 1, 1.5]),
      mem: random.pick([128, 512, 1024]),
      stop_timeout: random.int(1, 8),
      allow_exit: ends,
      ...(random.chance(0.3) && { health_check: { command: 'true' } }),
    },
    deployment_layout: name === 'lone' ? oneZone(random) : someZones(random),
    ...(random.chance(0.3) && { deployment_recipe: 'sim' }),
    ...(random.chance(0.1) && { persistent: false }),
    ...(name === 'lone' && { singleton: true }),
    ...(name === 'tick' && { schedule: { cron: '* * * * *', overlap: random.pick(['skip', 'allow', 'replace']) } }),
    ...(random.chance(0.15) && { place: { spread: random.pick(['hard', 'none']) } }),
    ...(random.chance(0.6) && { dns_basename: someBasename(random, name) }),
    update: somePace(random),
  };
}

export function someFollower(random: SeededRandom, name: string, leader: string): object {
  return {
    task_configuration: {
      name,
      command: `sim steady ${random.int(1, 2)}`,
      cpu: random.pick([0.1, 0.2]),
      mem: random.pick([64, 128]),
      stop_timeout: 2,
    },
    linked_job: leader,
    link_restart: random.pick(['both', 'both', 'follower', 'none']),
    ...(random.chance(0.3) && { dns_basename: someBasename(random, name) }),
    update: somePace(random),
  };
}

/** One thing changed about a job that there is, as most changes are. */
export function changedJob(random: SeededRandom, spec: JobSpec): JobSpec {
  const changed = structuredClone(spec);
  const task = changed.task_configuration;
  switch (random.pick(['command', 'command', 'command', 'count', 'size', 'version', 'pace', 'names'])) {
    case 'command':
      task.command += '.';
      break;
    case 'size':
      task.mem = random.pick([128, 512, 1024]);
      break;
    case 'version':
      changed.version = `1.${random.int(0, 9)}`;
      break;
    case 'names':
      if (random.chance(0.3)) delete changed.dns_basename;
      else changed.dns_basename = someBasename(random, task.name);
      break;
    case 'pace':
      changed.update.max_parallel = random.int(1, 3);
      break;
    case 'count':
      if (task.name === 'lone') changed.deployment_layout = { ...oneZone(random) };
      else for (const entry of Object.values(changed.deployment_layout)) entry.count = random.int(0, 4);
      break;
  }
  return changed;
}

function someBasename(random: SeededRandom, job: string): string {
  return `${job}.${random.pick(SUFFIXES)}`;
}

function someZones(random: SeededRandom): Record<string, { count: number }> {
  const some = ZONES.filter(() => random.chance(0.5));
  const zones = some.length > 0 ? some : [random.pick(ZONES)];
  return Object.fromEntries(zones.map((zone) => [zone, { count: random.int(0, 4) }]));
}

function oneZone(random: SeededRandom): Record<string, { count: number }> {
  return { [random.pick(ZONES)]: { count: random.pick([0, 1, 1, 1]) } };
}

function somePace(random: SeededRandom): object {
  return {
    max_parallel: random.pick([1, 1, 2, 3]),
    min_healthy: random.pick([0, 1, 5]),
    deadline: random.pick([20, 40, 300]),
    auto_revert: random.chance(0.7),
  };
}
