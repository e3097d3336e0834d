import type { Context } from 'koa';
import { z } from 'zod';
import { CerebroError } from '../../errors.ts';
import type { ExpectedRevision } from '../../machine/expected-revision.ts';
import type { MachineSitter } from '../../machine/machine-sitter.ts';
import { type OrderMark, OrderOfOrders } from '../../machine/records/order-of-orders.ts';
import { healthState } from '../../model/health-check.ts';
import { runEnd, type TaskStatus, taskDefinition, taskPhase, taskStatus, withoutSecrets } from '../../model/task.ts';
import { SIGNALS, taskName } from '../../model/task-configuration.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const taskId = z.object({ id: taskName });
const done = z.object({ done: z.literal(true) });
const by = z.string().max(100).optional();
const phases = z
  .string()
  .max(200)
  .transform((text) => text.split(','))
  .pipe(z.array(taskPhase));

const filter = z.strictObject({
  job: taskName.optional(),
  name: taskName.optional(),
  /** One phase or several, with commas between. */
  phase: phases.optional(),
  health: healthState.optional(),
});

const action = z.discriminatedUnion('action', [
  z.strictObject({ action: z.enum(['start', 'stop', 'restart']), by }),
  z.strictObject({
    action: z.literal('signal'),
    signal: z.enum([...SIGNALS, 'SIGCONT', 'SIGSTOP', 'SIGWINCH']),
    /** `leader`: the task's own process; `all`: every process of the run. */
    to: z.enum(['leader', 'all']).default('leader'),
    by,
  }),
]);

/**
 * The tasks of a machine sitter. `command` is called before anything is changed, and throws for who may not; it
 * answers with what a cluster sitter's order says of itself, null for a person's. What is changed can
 * be held to a revision: `If-Match` with the ETag that a task was read with, `If-None-Match: *` for what must be new.
 */
export function taskRoutes(sitter: MachineSitter, command: (ctx: Context) => OrderMark | null): ApiRoute[] {
  const orders = new OrderOfOrders();
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks',
      summary: 'All tasks, or those of a job, a name, phases (with commas between) or a state of health',
      query: filter,
      answer: z.array(taskStatus),
      handle: ({ query }) => sitter.tasks().filter((task) => fits(task, query)),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks/:id',
      summary: 'One task; its ETag is the revision of its definition',
      params: taskId,
      answer: taskStatus,
      handle: ({ params }, ctx) => tagged(ctx, sitter.task(params.id)),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/tasks/:id/definition',
      summary: 'What a task is defined as, as it can be put again',
      params: taskId,
      answer: taskDefinition,
      handle: ({ params }, ctx) => {
        tagged(ctx, sitter.task(params.id));
        return withoutSecrets(sitter.definition(params.id));
      },
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
        const expected = expectedOf(ctx);
        orders.put(params.id, command(ctx));
        return tagged(ctx, await sitter.put(body.definition, { start: body.start, expected }));
      },
    }),
    apiRoute({
      method: 'delete',
      path: '/api/v1/tasks/:id',
      summary: 'End a task in order and forget it; answers when nothing of it runs any more',
      params: taskId,
      answer: done,
      handle: async ({ params }, ctx) => {
        const expected = expectedOf(ctx);
        orders.remove(params.id, command(ctx));
        await sitter.remove(params.id, expected);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/tasks/:id/actions',
      summary: 'Start, stop or restart a task, or send it a signal',
      params: taskId,
      body: action,
      answer: taskStatus,
      handle: ({ params, body, by }, ctx) => {
        const expected = expectedOf(ctx);
        command(ctx);
        const who = body.by ?? by;
        const status =
          body.action === 'signal'
            ? sitter.signal(params.id, { signal: body.signal, to: body.to, by: who, expected })
            : sitter.act(params.id, body.action, who, expected);
        return tagged(ctx, status);
      },
    }),
  ];
}

function fits(task: TaskStatus, { job, name, phase, health }: z.infer<typeof filter>): boolean {
  return (
    (job === undefined || task.job === job) &&
    (name === undefined || task.name === name) &&
    (phase === undefined || phase.includes(task.phase)) &&
    (health === undefined || task.health?.state === health)
  );
}

function tagged(ctx: Context, task: TaskStatus): TaskStatus {
  ctx.set('ETag', `"${task.revision}"`);
  return task;
}

/** What `If-Match` or `If-None-Match` say of the task. Throws `invalid` for what is no ETag of a task. */
function expectedOf(ctx: Context): ExpectedRevision | undefined {
  const [match, noneMatch] = [ctx.get('if-match').trim(), ctx.get('if-none-match').trim()];
  if (noneMatch === '*') return 'absent';
  if (noneMatch !== '')
    throw new CerebroError('invalid', `If-None-Match: expected *, for a task that must be new; got ${noneMatch}`);
  if (match === '') return undefined;
  if (match === '*') return 'present';
  const revisions = match.split(',').map((tag) => /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(tag)?.[1]);
  if (revisions.includes(undefined))
    throw new CerebroError(
      'invalid',
      `If-Match: expected the ETag that the task was read with, like "3"; got ${match}`,
    );
  return { revisions: revisions.map(Number) };
}
