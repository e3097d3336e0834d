import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import type { MachineSitter } from '../machine/machine-sitter.ts';
import { clusterEvent } from '../model/event.ts';
import { BEAT_MS, EPOCH_HEADER, type MachineMessage } from '../model/machine-stream.ts';
import { type LimitHolds, limitHolds, runEnd, taskDefinition, taskStatus } from '../model/task.ts';
import { taskName } from '../model/task-configuration.ts';
import { type TlsIdentity, tlsIdentity } from '../model/tls-identity.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';
import { logQuery } from './log-query.ts';
import { sendLog } from './log-response.ts';

/** A watcher that has this much waiting unread is cut off: it may come back and is told everything. */
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;

const taskId = z.object({ id: taskName });
const done = z.object({ done: z.literal(true) });

/** Who holds the limits on this machine. */
interface EnforcerInForce {
  readonly name: string;
  readonly holds: LimitHolds;
  readonly passedOver: readonly string[];
}

/** How this machine proves itself to its cluster. */
interface IdentityInUse {
  summary(): { machine: string; notAfter: string } | null;
  take(next: TlsIdentity): Promise<{ machine: string; notAfter: string }>;
}

const identitySummary = z.object({ machine: z.string(), notAfter: z.string() });

/** The API of a machine sitter. Commands carry the leader's epoch where a cluster sitter gives them. */
export function machineRoutes(
  sitter: MachineSitter,
  about: { version: string; enforcer: EnforcerInForce; identity: IdentityInUse; suspend: () => void },
): ApiRoute[] {
  const command = (ctx: Context): void => sitter.checkEpoch(epochOf(ctx));
  return [
    apiRoute({
      method: 'get',
      path: '/healthz',
      summary: 'Whether the daemon is there; needs no token',
      answer: z.object({ ok: z.literal(true), mode: z.literal('machine') }),
      open: true,
      handle: () => ({ ok: true, mode: 'machine' }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/machine',
      summary: 'This machine',
      answer: z.object({
        version: z.string(),
        enforcer: z.string(),
        /** How firmly each limit is held. */
        holds: limitHolds,
        /** Why better enforcers do not work here, one sentence each. */
        passedOver: z.array(z.string()),
        tasks: z.number(),
        damaged: z.record(z.string(), z.string()),
        /** Its certificate; null: it belongs to no cluster. */
        certificate: identitySummary.nullable(),
      }),
      handle: () => ({
        version: about.version,
        enforcer: about.enforcer.name,
        holds: about.enforcer.holds,
        passedOver: about.enforcer.passedOver,
        tasks: sitter.tasks().length,
        damaged: Object.fromEntries(sitter.damaged()),
        certificate: about.identity.summary(),
      }),
    }),
    apiRoute({
      method: 'put',
      path: '/api/v1/identity',
      summary: 'Give the machine its next certificate, by the same authority; tasks and connections go on',
      body: tlsIdentity,
      answer: identitySummary,
      handle: ({ body }, ctx) => {
        command(ctx);
        return about.identity.take(body);
      },
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks',
      summary: 'All tasks',
      answer: z.array(taskStatus),
      handle: () => sitter.tasks(),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks/:id',
      summary: 'One task',
      params: taskId,
      answer: taskStatus,
      handle: ({ params }) => sitter.task(params.id),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks/:id/runs',
      summary: 'The post-mortems of the runs that are kept, oldest first',
      params: taskId,
      answer: z.array(runEnd),
      handle: ({ params }) => sitter.postMortems(params.id),
    }),
    apiRoute({
      method: 'put',
      path: '/api/v1/tasks/:id',
      summary: 'Add a task or change it; restarts it only when something that it runs with differs',
      params: taskId,
      body: z.strictObject({ definition: taskDefinition, start: z.boolean().default(false) }),
      answer: taskStatus,
      handle: async ({ params, body }, ctx) => {
        if (body.definition.id !== params.id)
          throw new CerebroError('invalid', `the body defines "${body.definition.id}", the path names "${params.id}"`);
        command(ctx);
        return sitter.put(body.definition, { start: body.start });
      },
    }),
    apiRoute({
      method: 'delete',
      path: '/api/v1/tasks/:id',
      summary: 'End a task in order and forget it; answers when nothing of it runs any more',
      params: taskId,
      answer: done,
      handle: async ({ params }, ctx) => {
        command(ctx);
        await sitter.remove(params.id);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/tasks/:id/actions',
      summary: 'Start, stop or restart a task',
      params: taskId,
      body: z.strictObject({ action: z.enum(['start', 'stop', 'restart']), by: z.string().max(100).optional() }),
      answer: taskStatus,
      handle: ({ params, body, by }, ctx) => {
        command(ctx);
        return sitter.act(params.id, body.action, body.by ?? by);
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/leash',
      summary: 'A word from the cluster sitter: tasks that may not run twice go on',
      answer: done,
      handle: (_input, ctx) => {
        command(ctx);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/events',
      summary: 'The events after number `since`, oldest first',
      query: z.strictObject({ since: z.coerce.number().int().min(0).default(0) }),
      answer: z.array(clusterEvent),
      handle: ({ query }) => sitter.events.since(query.since),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/watch',
      summary: 'Everything now, then every change, one JSON document a line; events from number `since` on',
      query: z.strictObject({ since: z.coerce.number().int().min(0).default(0) }),
      answer: z.string(),
      handle: ({ query }, ctx) => watch(sitter, about.enforcer.name, query.since, ctx),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/suspend',
      summary: 'End all tasks in order, to be started again with the daemon, and end the daemon',
      answer: done,
      handle: async (_input, ctx) => {
        command(ctx);
        await sitter.suspend();
        about.suspend();
        return { done: true };
      },
    }),
    apiRoute({
      method: 'get',
      path: '/logs',
      summary: 'The tasks that have logs',
      answer: z.array(z.object({ task: z.string(), job: z.string(), run: z.number() })),
      handle: () => sitter.tasks().map((task) => ({ task: task.id, job: task.job, run: task.run })),
    }),
    apiRoute({
      method: 'get',
      path: '/logs/:id',
      summary: 'What a task wrote',
      params: taskId,
      query: logQuery,
      answer: z.string(),
      handle: ({ params, query }, ctx) => sendLog(ctx, sitter.log(params.id, query.stream), query),
    }),
  ];
}

function watch(sitter: MachineSitter, enforcer: string, since: number, ctx: Context): void {
  const stream = new Readable({ read: () => undefined });
  const send = (message: MachineMessage): void => {
    if (stream.readableLength > MAX_BACKLOG_BYTES) stream.destroy();
    else stream.push(`${JSON.stringify(message)}\n`);
  };
  send({ type: 'hello', enforcer, tasks: sitter.tasks() });
  for (const event of sitter.events.since(since)) send({ type: 'event', event });
  const offs = [
    sitter.onChange((change) =>
      send(change.kind === 'task' ? { type: 'task', task: change.task } : { type: 'task-gone', id: change.id }),
    ),
    sitter.events.onEvent((event) => send({ type: 'event', event })),
  ];
  const beat = setInterval(() => send({ type: 'beat' }), BEAT_MS);
  stream.once('close', () => {
    clearInterval(beat);
    for (const off of offs) off();
  });
  ctx.type = 'application/x-ndjson';
  ctx.body = stream;
  ctx.flushHeaders();
}

function epochOf(ctx: Context): number | null {
  const header = ctx.get(EPOCH_HEADER);
  return /^\d{1,15}$/.test(header) ? Number(header) : null;
}
