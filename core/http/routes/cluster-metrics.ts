import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { answerMetrics, daemonMetrics, type Metric, type Sample } from '../answers/metrics-text.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const MB = 1024 * 1024;

/** `/metrics` of a cluster sitter. */
export function clusterMetricsRoute(api: ClusterApi): ApiRoute {
  return apiRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Figures of this cluster, in the text form of Prometheus',
    answer: z.string(),
    handle: async (_input, ctx) => {
      const { version } = api.status();
      await answerMetrics(ctx, [...daemonMetrics({ version, mode: 'cluster' }), ...clusterMetrics(api)]);
    },
  });
}

function clusterMetrics(api: ClusterApi): Metric[] {
  const { epoch, attention } = api.status();
  const { passes, effects, events } = api.work();
  const machines = api.machines();
  const copies = api.copies();
  const jobs = api.jobs();
  const zones = jobs.flatMap((job) => Object.entries(job.zones).map(([zone, counts]) => ({ job, zone, counts })));
  const perZone = (value: (counts: (typeof zones)[number]['counts']) => number): Sample[] =>
    zones.map(({ job, zone, counts }) => ({ labels: { job: job.name, zone }, value: value(counts) }));
  const amounts = (resource: 'cpu' | 'mem', unit: number): Sample[] =>
    machines.flatMap(({ id, zone, [resource]: amount }) =>
      (['offered', 'reserved', 'used'] as const).map((kind) => {
        const value = amount[kind];
        return { labels: { machine: id, zone, kind }, value: value === null ? null : value * unit };
      }),
    );
  const outcomes = (counts: { done: number; failed: number }, labels: Record<string, string> = {}): Sample[] => [
    { labels: { ...labels, outcome: 'done' }, value: counts.done },
    { labels: { ...labels, outcome: 'failed' }, value: counts.failed },
  ];
  const gauge = (name: string, help: string, samples: Sample[]): Metric => ({ name, help, type: 'gauge', samples });
  const counter = (name: string, help: string, samples: Sample[]): Metric => ({ name, help, type: 'counter', samples });
  return [
    gauge('cerebro_cluster_epoch', 'The epoch of this leader.', [{ value: epoch }]),
    gauge('cerebro_cluster_attention', 'Things that need attention.', [{ value: attention.length }]),
    gauge('cerebro_jobs', 'Jobs.', [{ value: jobs.length }]),
    gauge(
      'cerebro_job_copies_wanted',
      'Copies that a job is to have in a zone.',
      perZone((zone) => zone.wanted),
    ),
    gauge(
      'cerebro_job_copies_ready',
      'Copies of it that are ready.',
      perZone((zone) => zone.ready),
    ),
    gauge(
      'cerebro_copies',
      'Copies in each state.',
      countBy(copies, 'state', (copy) => copy.state),
    ),
    gauge(
      'cerebro_machines',
      'Machines in each state.',
      countBy(machines, 'state', (machine) => machine.state),
    ),
    gauge('cerebro_cluster_machine_cores', 'Cores of each machine: offered, reserved, used.', amounts('cpu', 1)),
    gauge(
      'cerebro_cluster_machine_memory_bytes',
      'Memory of each machine: offered, reserved, used.',
      amounts('mem', MB),
    ),
    counter('cerebro_passes_total', 'Plans that were made and carried out.', outcomes(passes)),
    counter(
      'cerebro_effects_total',
      'What was done in the world: machines ordered and ended, copies deployed, tasks removed.',
      [...effects].flatMap(([kind, counts]) => outcomes(counts, { kind })),
    ),
    counter('cerebro_events_total', 'Events on the timeline since the cluster began.', [{ value: events }]),
  ];
}

function countBy<T>(things: readonly T[], label: string, of: (thing: T) => string): Sample[] {
  const counts = new Map<string, number>();
  for (const thing of things) counts.set(of(thing), (counts.get(of(thing)) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ labels: { [label]: value }, value: count }));
}
