import type { Context } from 'koa';

/** One value of a metric, with what tells it from the others. */
export interface Sample {
  labels?: Record<string, string>;
  value: number | null | undefined;
}

export interface Metric {
  name: string;
  help: string;
  /** A counter only grows for as long as what it counts lives; a gauge goes up and down. */
  type: 'gauge' | 'counter';
  samples: readonly Sample[];
}

/**
 * Answers with metrics in the text form of Prometheus. Everything is read at the moment it is asked for, so nothing is registered for good and
 * nothing of a task that is gone is left over. Values that are not known are left out.
 */
export async function answerMetrics(ctx: Context, metrics: readonly Metric[]): Promise<void> {
  // Loaded here: most daemons are never asked for metrics, and it is a tenth of what they load at all.
  const { Counter, Gauge, Registry } = await import('prom-client');
  const registry = new Registry();
  for (const { name, help, type, samples } of metrics) {
    const known = samples.flatMap(({ labels = {}, value }) => (isKnown(value) ? [{ labels, value }] : []));
    if (known.length === 0) continue;
    const labelNames = [...new Set(known.flatMap(({ labels }) => Object.keys(labels)))];
    const options = { name, help, labelNames, registers: [registry] };
    if (type === 'counter') {
      const counter = new Counter(options);
      for (const { labels, value } of known) counter.inc(labels, value);
    } else {
      const gauge = new Gauge(options);
      for (const { labels, value } of known) gauge.set(labels, value);
    }
  }
  ctx.body = await registry.metrics();
  ctx.type = Registry.PROMETHEUS_CONTENT_TYPE;
}

function isKnown(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** What the daemon itself takes, and what it is. */
export function daemonMetrics(about: { version: string; mode: 'machine' | 'cluster' }): Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: 'cerebro_build_info',
      help: 'Always 1; its labels say which program this is.',
      type: 'gauge',
      samples: [{ labels: { version: about.version, mode: about.mode }, value: 1 }],
    },
    {
      name: 'cerebro_daemon_cpu_seconds_total',
      help: 'Processor time of the daemon itself.',
      type: 'counter',
      samples: [{ value: (user + system) / 1e6 }],
    },
    {
      name: 'cerebro_daemon_memory_bytes',
      help: 'Resident memory of the daemon itself.',
      type: 'gauge',
      samples: [{ value: process.memoryUsage.rss() }],
    },
    {
      name: 'cerebro_daemon_uptime_seconds',
      help: 'For how long the daemon has run.',
      type: 'gauge',
      samples: [{ value: Math.round(process.uptime()) }],
    },
  ];
}
