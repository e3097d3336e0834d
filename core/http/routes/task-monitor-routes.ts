import type { Context } from 'koa';
import { z } from 'zod';
import type { LogSource } from '../../machine/logs/log-file.ts';
import { type RunEnd, runEnd, type TaskStatus, taskStatus } from '../../model/task.ts';
import { logQuery } from '../answers/log-query.ts';
import { sendLog } from '../answers/log-response.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** The one task that a monitor shows. */
export interface MonitoredTask {
  status(): TaskStatus;
  postMortems(): RunEnd[];
  log(stream: 'stdout' | 'stderr'): LogSource & { id: string; runs: readonly number[] };
  act(action: 'start' | 'stop' | 'restart', by: string): void;
}

/** The HTTP monitor of `cerebro task`: figures for everybody on this host; logs and actions for who has the token. */
export function taskMonitorRoutes(task: MonitoredTask): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/healthz',
      summary: 'Whether the sitter is there; needs no token',
      answer: z.object({ ok: z.literal(true), mode: z.literal('task') }),
      open: true,
      handle: () => ({ ok: true, mode: 'task' }),
    }),
    apiRoute({
      method: 'get',
      path: '/stats',
      summary: 'State, use and limits; as text with format=text. Needs no token',
      query: z.strictObject({ format: z.enum(['json', 'text']).optional() }),
      answer: taskStatus,
      open: true,
      handle: ({ query }, ctx) => stats(withoutOutput(task.status()), query.format, ctx),
    }),
    apiRoute({
      method: 'get',
      path: '/runs',
      summary: 'The post-mortems of the runs that are kept, oldest first',
      answer: z.array(runEnd),
      handle: () => task.postMortems(),
    }),
    apiRoute({
      method: 'get',
      path: '/logs',
      summary: 'What it wrote',
      query: logQuery,
      answer: z.string(),
      handle: ({ query }, ctx) => sendLog(ctx, task.log(query.stream), query),
    }),
    apiRoute({
      method: 'post',
      path: '/actions',
      summary: 'Start, stop or restart it',
      body: z.strictObject({ action: z.enum(['start', 'stop', 'restart']) }),
      answer: taskStatus,
      handle: ({ body, by }) => {
        task.act(body.action, by);
        return task.status();
      },
    }),
  ];
}

/** What the task wrote is for who has the token. */
function withoutOutput(status: TaskStatus): TaskStatus {
  return { ...status, lastEnd: status.lastEnd && { ...status.lastEnd, lastLines: [] } };
}

function stats(status: TaskStatus, format: 'json' | 'text' | undefined, ctx: Context): TaskStatus | undefined {
  const asText = format === 'text' || (format === undefined && ctx.accepts('json', 'text') === 'text');
  if (!asText) return status;
  ctx.type = 'text/plain; charset=utf-8';
  ctx.body = statsText(status);
  return undefined;
}

const MB = 1024 * 1024;

function statsText(status: TaskStatus): string {
  const { usage, limits, health, lastEnd, logs } = status;
  const mb = (bytes: number): string => (bytes / MB).toFixed(1);
  const rows: [string, string][] = [
    ['task', status.name],
    ['state', `${status.phase}: ${status.reason}`],
    ['pid', String(status.pid ?? '-')],
    ['run', `${status.run}, ${status.restarts} restarts`],
    ['started', status.startedAt ?? '-'],
    ['cpu', amount(usage?.cpu.toFixed(2), limits.cpu === null ? null : `${limits.cpu}`, 'cores', limits.holds.cpu)],
    ['memory', amount(usage && mb(usage.memBytes), limits.memBytes && mb(limits.memBytes), 'MB', limits.holds.mem)],
    ['processes', amount(usage?.processes, limits.pids, '', limits.holds.pids)],
    ['throttled', `${(usage?.throttledSeconds ?? 0).toFixed(1)} s`],
    ['limits by', limits.enforcer],
  ];
  if (health) rows.push(['health', `${health.state}: ${health.sentence}`]);
  for (const warning of status.warnings) rows.push(['warning', warning]);
  if (logs) rows.push(['logs', `${mb(logs.trimmedBytes)} MB made room (${logs.method})`]);
  if (lastEnd) rows.push(['last end', `run ${lastEnd.run}: ${lastEnd.sentence}`]);
  return rows.map(([name, value]) => `${name.padEnd(10)} ${value}\n`).join('');
}

function amount(
  used: string | number | null | undefined,
  limit: string | number | null,
  unit: string,
  hold: string,
): string {
  const now = used ?? '-';
  const figure = (limit === null ? `${now} ${unit}` : `${now} of ${limit} ${unit}`).trimEnd();
  return limit === null ? figure : `${figure}, ${hold}`;
}
