import type { Limits } from '../../contracts/limit-enforcer.ts';
import type { TaskConfiguration } from '../../model/task-configuration.ts';

/** What an enforcer is to hold a run of this task to. */
export function limitsOf(configuration: TaskConfiguration): Limits {
  const { cpu, mem, poll_interval, limits, on_violation } = configuration;
  const memBytes = mem === undefined ? null : Math.round(mem * 1024 * 1024);
  return {
    cpu: cpu ?? null,
    onCpu: on_violation.cpu,
    memBytes,
    memWarnBytes: memBytes === null || limits.mem_warn === 0 ? null : Math.round(memBytes * limits.mem_warn),
    swap: limits.swap,
    pids: limits.pids ?? null,
    io: limits.io,
    pollInterval: poll_interval,
    measure: true,
  };
}
