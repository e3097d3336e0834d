import { z } from 'zod';
import type { MachineSitter } from '../../machine/machine-sitter.ts';
import type { Vitals } from '../../machine/vitals.ts';
import { type TaskStatus, taskPhase } from '../../model/task.ts';
import type { HostVitals, TaskVitals } from '../../model/vitals.ts';
import { answerMetrics, daemonMetrics, type Metric, type Sample } from '../answers/metrics-text.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** `/metrics` of a machine sitter. */
export function machineMetricsRoute(sitter: MachineSitter, vitals: Vitals, version: string): ApiRoute {
  return apiRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Figures of this machine and its tasks, in the text form of Prometheus',
    answer: z.string(),
    handle: async (_input, ctx) => {
      const { host, tasks } = vitals.now();
      await answerMetrics(ctx, [
        ...daemonMetrics({ version, mode: 'machine' }),
        ...hostMetrics(host),
        ...taskMetrics(sitter.tasks(), tasks),
      ]);
    },
  });
}

function hostMetrics({ cpu, memory, load, disk, network, pressure, uptimeSeconds }: HostVitals): Metric[] {
  const gauge = (name: string, help: string, ...samples: Sample[]): Metric => ({ name, help, type: 'gauge', samples });
  return [
    gauge('cerebro_machine_uptime_seconds', 'Time since the machine was booted.', { value: uptimeSeconds }),
    gauge('cerebro_machine_cpu_cores', 'Cores of the machine.', { value: cpu.cores }),
    gauge('cerebro_machine_cpu_used_cores', 'Cores in use.', { value: cpu.used }),
    gauge(
      'cerebro_machine_cpu_busy_ratio',
      'How busy each core was, 0 to 1.',
      ...cpu.perCore.map((value, core) => ({ labels: { core: String(core) }, value })),
    ),
    gauge('cerebro_machine_cpu_waiting_ratio', 'Share of all cores that waited for a disk.', { value: cpu.waiting }),
    gauge('cerebro_machine_cpu_stolen_ratio', 'Share of all cores that the hypervisor gave to others.', {
      value: cpu.stolen,
    }),
    gauge('cerebro_machine_memory_bytes', 'Memory of the machine.', { value: memory.totalBytes }),
    gauge('cerebro_machine_memory_used_bytes', 'Memory in use, without page cache that gives way.', {
      value: memory.usedBytes,
    }),
    gauge('cerebro_machine_swap_bytes', 'Swap of the machine.', { value: memory.swapTotalBytes }),
    gauge('cerebro_machine_swap_used_bytes', 'Swap in use.', { value: memory.swapUsedBytes }),
    gauge(
      'cerebro_machine_load',
      'Processes that run or wait to, averaged over so many minutes.',
      { labels: { minutes: '1' }, value: load.one },
      { labels: { minutes: '5' }, value: load.five },
      { labels: { minutes: '15' }, value: load.fifteen },
    ),
    gauge('cerebro_machine_disk_bytes', 'The file system of the data folder.', { value: disk.totalBytes }),
    gauge('cerebro_machine_disk_used_bytes', 'Used of the file system of the data folder.', { value: disk.usedBytes }),
    gauge('cerebro_machine_disk_available_bytes', 'What may still be written there.', { value: disk.availableBytes }),
    gauge(
      'cerebro_machine_network_bytes_per_second',
      'Over all interfaces but loopback.',
      { labels: { direction: 'received' }, value: network.receivedRate },
      { labels: { direction: 'sent' }, value: network.sentRate },
    ),
    gauge(
      'cerebro_machine_pressure_ratio',
      'Share of the last ten seconds in which some, or all (full), processes waited for it.',
      ...(['cpu', 'memory', 'io'] as const).flatMap((resource) =>
        (['some', 'full'] as const).map((kind) => ({ labels: { resource, kind }, value: pressure?.[resource][kind] })),
      ),
    ),
  ];
}

function taskMetrics(statuses: readonly TaskStatus[], vitals: readonly TaskVitals[]): Metric[] {
  const byId = new Map(vitals.map((task) => [task.id, task]));
  const each = (value: (task: TaskStatus, vitals: TaskVitals | undefined) => number | null | undefined): Sample[] =>
    statuses.map((task) => ({ labels: { task: task.id, job: task.job }, value: value(task, byId.get(task.id)) }));
  const gauge = (name: string, help: string, samples: Sample[]): Metric => ({ name, help, type: 'gauge', samples });
  const counter = (name: string, help: string, samples: Sample[]): Metric => ({ name, help, type: 'counter', samples });
  const phases = taskPhase.options.map((phase) => ({
    labels: { phase },
    value: statuses.filter((task) => task.phase === phase).length,
  }));
  return [
    gauge('cerebro_tasks', 'Tasks in each phase.', phases),
    gauge(
      'cerebro_task_running',
      '1 while the task runs.',
      each(({ phase }) => (phase === 'running' ? 1 : 0)),
    ),
    gauge(
      'cerebro_task_cpu_cores',
      'Cores in use.',
      each((task) => task.usage?.cpu),
    ),
    gauge(
      'cerebro_task_cpu_limit_cores',
      'The limit, where there is one.',
      each((task) => task.limits.cpu),
    ),
    gauge(
      'cerebro_task_memory_bytes',
      'Memory in use by all its processes.',
      each((task) => task.usage?.memBytes),
    ),
    gauge(
      'cerebro_task_memory_limit_bytes',
      'The limit, where there is one.',
      each((task) => task.limits.memBytes),
    ),
    gauge(
      'cerebro_task_processes',
      'Its processes.',
      each((task) => task.usage?.processes),
    ),
    gauge(
      'cerebro_task_throttled_ratio',
      'Share of the time for which its cpu limit held it back.',
      each((_task, now) => now?.throttled),
    ),
    counter(
      'cerebro_task_throttled_seconds_total',
      'For how long its cpu limit held the run back.',
      each((task) => task.usage?.throttledSeconds),
    ),
    counter(
      'cerebro_task_read_bytes_total',
      'What the run has read from disks.',
      each((task) => task.usage?.readBytes),
    ),
    counter(
      'cerebro_task_written_bytes_total',
      'What the run has written to disks.',
      each((task) => task.usage?.writtenBytes),
    ),
    counter(
      'cerebro_task_restarts_total',
      'How often it was started again.',
      each((task) => task.restarts),
    ),
  ];
}
