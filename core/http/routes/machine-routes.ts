import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { z } from 'zod';
import type { MachineSitter } from '../../machine/machine-sitter.ts';
import type { OrderMark } from '../../machine/records/order-of-orders.ts';
import type { TasksFile } from '../../machine/tasks-file.ts';
import type { Vitals } from '../../machine/vitals.ts';
import { machineCapacity } from '../../model/capacity.ts';
import { BEAT_MS, EPOCH_HEADER, type MachineMessage, ORDER_HEADER } from '../../model/machine-stream.ts';
import { type LimitHolds, limitHolds } from '../../model/task.ts';
import { type TlsIdentity, tlsIdentity } from '../../model/tls-identity.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';
import { machineEventRoute } from './event-routes.ts';
import { handOverRoute } from './hand-over-route.ts';
import { machineLogRoutes } from './log-routes.ts';
import { taskRoutes } from './task-routes.ts';
import { tasksFileRoutes } from './tasks-file-routes.ts';

/** A watcher that has this much waiting unread is cut off: it may come back and is told everything. */
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;

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
  about: {
    version: string;
    enforcer: EnforcerInForce;
    identity: IdentityInUse;
    vitals: Vitals;
    tasksFile: TasksFile;
    suspend: () => void;
  },
): ApiRoute[] {
  const command = (ctx: Context): OrderMark | null => {
    const epoch = numberIn(ctx, EPOCH_HEADER);
    sitter.checkEpoch(epoch);
    return epoch === null ? null : { epoch, serial: numberIn(ctx, ORDER_HEADER) };
  };
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
        capacity: machineCapacity.nullable(),
      }),
      handle: () => ({
        version: about.version,
        enforcer: about.enforcer.name,
        holds: about.enforcer.holds,
        passedOver: about.enforcer.passedOver,
        tasks: sitter.tasks().length,
        damaged: Object.fromEntries(sitter.damaged()),
        certificate: about.identity.summary(),
        capacity: sitter.capacity(),
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
      method: 'post',
      path: '/api/v1/leash',
      summary: 'A word from the cluster sitter: tasks that may not run twice go on',
      answer: done,
      handle: (_input, ctx) => {
        command(ctx);
        return { done: true };
      },
    }),
    ...taskRoutes(sitter, command),
    ...tasksFileRoutes(about.tasksFile, command),
    machineEventRoute(sitter),
    apiRoute({
      method: 'get',
      path: '/api/v1/watch',
      summary: 'Everything now, then every change, one JSON document a line; events from number `since` on',
      query: z.strictObject({ since: z.coerce.number().int().min(0).default(0) }),
      answer: z.string(),
      handle: ({ query }, ctx) => watch(sitter, about, query.since, ctx),
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
    handOverRoute({ command, end: about.suspend }),
    ...machineLogRoutes(sitter),
  ];
}

function watch(
  sitter: MachineSitter,
  { enforcer, vitals }: { enforcer: EnforcerInForce; vitals: Vitals },
  since: number,
  ctx: Context,
): void {
  const stream = new Readable({ read: () => undefined });
  const send = (message: MachineMessage): void => {
    if (stream.readableLength > MAX_BACKLOG_BYTES) stream.destroy();
    else stream.push(`${JSON.stringify(message)}\n`);
  };
  send({ type: 'hello', enforcer: enforcer.name, tasks: sitter.tasks() });
  send({ type: 'vitals', host: vitals.now().host });
  for (const event of sitter.events.since(since)) send({ type: 'event', event });
  const offs = [
    sitter.onChange((change) =>
      send(change.kind === 'task' ? { type: 'task', task: change.task } : { type: 'task-gone', id: change.id }),
    ),
    sitter.events.onEvent((event) => send({ type: 'event', event })),
    vitals.onSample(({ host }) => send({ type: 'vitals', host })),
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

function numberIn(ctx: Context, name: string): number | null {
  const header = ctx.get(name);
  return /^\d{1,15}$/.test(header) ? Number(header) : null;
}
