import type { TaskStatus } from '../../core/model/task.ts';

/** What a machine says of a task that runs, and has ever since `at` (ISO). */
export function runningTask(
  { id, job, version, generation }: Pick<TaskStatus, 'id' | 'job' | 'version' | 'generation'>,
  { at = new Date().toISOString(), ...more }: Partial<TaskStatus> & { at?: string } = {},
): TaskStatus {
  return {
    id,
    job,
    name: job,
    version,
    generation,
    phase: 'running',
    reason: 'running',
    since: at,
    pid: 1,
    run: 1,
    startedAt: at,
    restarts: 0,
    flapping: false,
    nextStartAt: null,
    revision: 1,
    limits: {
      cpu: null,
      memBytes: null,
      pids: null,
      enforcer: 'proc',
      holds: { cpu: 'measured', mem: 'polled', pids: 'polled', io: 'none' },
    },
    usage: null,
    warnings: [],
    health: null,
    logs: null,
    lastEnd: null,
    ...more,
  };
}
