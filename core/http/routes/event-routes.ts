import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { CerebroError } from '../../errors.ts';
import type { MachineSitter } from '../../machine/machine-sitter.ts';
import { clusterEvent } from '../../model/event.ts';
import { type EventFeed, eventStream, nextEventPage } from '../answers/event-stream.ts';
import { abortOnClose } from '../answers/log-response.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const number = z.coerce.number().int();
const MAX_EVENTS = 10_000;

const eventQuery = z.strictObject({
  /** The number of the last event that the caller has. */
  since: number.min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  limit: number.min(1).max(MAX_EVENTS).optional(),
  /** Seconds to wait for something new: a long poll, which is answered with `events`, `next` and `resync`. */
  wait: z.coerce.number().min(0).max(60).optional(),
});
const aboutOne = { job: z.string().optional(), machine: z.string().optional(), copy: z.string().optional() };

const eventPage = z.object({ events: z.array(clusterEvent), next: z.number(), resync: z.boolean() });
const answer = z.union([z.array(clusterEvent), eventPage]);

/** The timeline of a machine sitter. */
export function machineEventRoute(sitter: MachineSitter): ApiRoute {
  const { events } = sitter;
  const feed: EventFeed = {
    span: async () => ({ oldest: events.oldest, newest: events.newest }),
    after: async (seq, limit) => events.since(seq, limit),
    onMore: (listener) => events.onEvent(listener),
  };
  return apiRoute({
    method: 'get',
    path: '/api/v1/events',
    summary: `The events after number \`since\`, oldest first; with \`wait\` a long poll, with "Accept: text/event-stream" a stream`,
    query: eventQuery,
    answer,
    handle: ({ query }, ctx) => live(ctx, feed, query) ?? events.since(query.since ?? 0, query.limit ?? MAX_EVENTS),
  });
}

/** The timeline of a cluster sitter. */
export function clusterEventRoute(api: ClusterApi): ApiRoute {
  return apiRoute({
    method: 'get',
    path: '/api/v1/events',
    summary: `The timeline: the newest events, or those after number \`since\`, oldest first; with \`wait\` a long poll, with "Accept: text/event-stream" a stream`,
    query: eventQuery.extend(aboutOne),
    answer,
    handle: ({ query }, ctx) => {
      const { job, machine, copy, since, limit = 100 } = query;
      const about = { job, machine, copy };
      const feed: EventFeed = {
        span: async () => {
          const [[first], [last]] = await Promise.all([api.events({ since: 0, limit: 1 }), api.events({ limit: 1 })]);
          return { oldest: first?.seq ?? 1, newest: last?.seq ?? 0 };
        },
        after: (seq, most) => api.events({ ...about, since: seq, limit: most }),
        onMore: (listener) => api.onChange(listener),
      };
      return live(ctx, feed, query) ?? api.events({ ...about, since, limit });
    },
  });
}

/** Answers who wants to go on listening; undefined: the caller wants what is there, once. */
function live(ctx: Context, feed: EventFeed, query: z.infer<typeof eventQuery>): Promise<unknown> | undefined {
  const since = query.since ?? null;
  if (ctx.get('accept').includes('text/event-stream')) return stream(ctx, feed, lastEventId(ctx) ?? since);
  if (query.wait === undefined) return undefined;
  return nextEventPage(feed, since, {
    limit: query.limit ?? 500,
    waitMs: query.wait * 1000,
    signal: abortOnClose(ctx),
  });
}

async function stream(ctx: Context, feed: EventFeed, since: number | null): Promise<undefined> {
  ctx.type = 'text/event-stream';
  ctx.set('Cache-Control', 'no-store');
  ctx.set('X-Accel-Buffering', 'no');
  ctx.body = Readable.from(eventStream(feed, since, abortOnClose(ctx)), { objectMode: false });
  ctx.flushHeaders();
}

/** What a browser says that reconnects; it wins over the address that it began with. */
function lastEventId(ctx: Context): number | null {
  const header = ctx.get('last-event-id').trim();
  if (header === '') return null;
  if (/^\d{1,15}$/.test(header)) return Number(header);
  throw new CerebroError('invalid', `Last-Event-ID: expected the number of an event; got ${header.slice(0, 40)}`);
}
