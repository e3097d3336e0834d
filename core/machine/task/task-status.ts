import type { Enclosure } from '../../contracts/limit-enforcer.ts';
import { limitsOf } from '../../decide/task/limits-of.ts';
import type { TaskLife } from '../../decide/task/task-life.ts';
import type { LimitHold, RunEnd, TaskDefinition, TaskStatus } from '../../model/task.ts';
import type { RunCare } from './run-care.ts';
import type { TaskRun } from './task-run.ts';

/** So many starts without a stable uptime between, and less than this since the last: it is not to be called ready. */
const FLAPPING_STARTS = 6;
const FLAPPING_MS = 5000;

/** How a cpu limit is held where it is not left to the enforcer. */
const CPU_HOLDS: Partial<Record<string, LimitHold>> = { restart: 'polled', warn: 'measured' };

export interface TaskParts {
  definition: TaskDefinition;
  revision: number;
  life: Readonly<TaskLife>;
  run: TaskRun | null;
  care: RunCare | null;
  lastEnd: RunEnd | null;
  /** What a new run would be held by. */
  enforcer: Pick<Enclosure, 'enforcer' | 'holds'>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** What API, page and cluster sitter are told of a task. */
export function taskStatus({ definition, revision, life, run, care, lastEnd, enforcer, now }: TaskParts): TaskStatus {
  const { configuration, id, job, version, generation } = definition;
  const { memBytes, cpu, pids } = limitsOf(configuration);
  // A run goes on in the walls that it was begun in, whatever the daemon uses by now.
  const walls = run?.enclosure ?? enforcer;
  return {
    id,
    job,
    name: configuration.name,
    version,
    generation,
    phase: life.phase,
    reason: life.reason,
    since: iso(life.since),
    pid: run?.pid ?? null,
    run: life.run,
    startedAt: life.startedAt === null ? null : iso(life.startedAt),
    restarts: life.totalRestarts,
    flapping: life.streak >= FLAPPING_STARTS && now - (life.startedAt ?? life.since) < FLAPPING_MS,
    nextStartAt: life.nextStartAt === null ? null : iso(life.nextStartAt),
    revision,
    limits: {
      cpu,
      memBytes,
      pids,
      enforcer: walls.enforcer,
      holds: { ...walls.holds, cpu: CPU_HOLDS[configuration.on_violation.cpu] ?? walls.holds.cpu },
    },
    usage: run?.enclosure.usage() ?? null,
    warnings: care?.warnings ?? [],
    health: care?.health ?? null,
    logs: care?.logs ?? null,
    lastEnd,
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
