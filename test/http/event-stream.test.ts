import t from 'tap';
import { type EventFeed, eventPage, eventStream, nextEventPage } from '../../core/http/answers/event-stream.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

/** A timeline that keeps its last `kept` events. */
class ShortFeed implements EventFeed {
  readonly #kept: number;
  readonly #listeners = new Set<() => void>();
  events: ClusterEvent[] = [];
  #next = 1;

  constructor(kept: number) {
    this.#kept = kept;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  add(count: number): void {
    for (let i = 0; i < count; i++)
      this.events.push({ seq: this.#next++, at: '', kind: 'k', level: 'info', message: 'm' });
    this.events = this.events.slice(-this.#kept);
    for (const listener of this.#listeners) listener();
  }

  async span(): Promise<{ oldest: number; newest: number }> {
    return { oldest: this.events[0]?.seq ?? this.#next, newest: this.#next - 1 };
  }

  async after(seq: number, limit: number): Promise<ClusterEvent[]> {
    return this.events.filter((event) => event.seq > seq).slice(0, limit);
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

t.test('who is too far behind, or ahead of all that ever was, is told to resync', async (t) => {
  const feed = new ShortFeed(10);
  t.same(await eventPage(feed, 0), { events: [], next: 0, resync: false });
  feed.add(30);
  t.match(await eventPage(feed, 19), { resync: true, next: 30, events: [] });
  t.match(await eventPage(feed, 31), { resync: true, next: 30 });
  const page = await eventPage(feed, 20);
  t.same([page.resync, page.next, page.events.length], [false, 30, 10]);
  t.equal((await eventPage(feed, null)).events.length, 10, 'who names no number takes what there is');
  t.same((await eventPage(feed, 25, 2)).next, 27);
});

t.test('a long poll waits for something to tell, and not for ever', async (t) => {
  const feed = new ShortFeed(10);
  const { signal } = new AbortController();
  t.same(await nextEventPage(feed, 0, { limit: 10, waitMs: 10, signal }), { events: [], next: 0, resync: false });
  const waiting = nextEventPage(feed, 0, { limit: 10, waitMs: 60_000, signal });
  await eventually(() => feed.listeners === 1, 'it listens');
  feed.add(1);
  t.match(await waiting, { next: 1, events: [{ seq: 1 }] });
  t.equal(feed.listeners, 0, 'and does not listen any more');
});

t.test('a stream whose reader was slow says resync, and goes on with what is new', async (t) => {
  const feed = new ShortFeed(10);
  feed.add(5);
  const abort = new AbortController();
  const stream = eventStream(feed, 0, abort.signal);
  const next = async (): Promise<string> => String((await stream.next()).value);
  t.equal(await next(), 'retry: 1000\n\n');
  t.equal((await next()).match(/^id: \d+$/gm)?.join(), 'id: 1,id: 2,id: 3,id: 4,id: 5');
  feed.add(20);
  t.equal(await next(), 'event: resync\nid: 25\ndata: {"next":25}\n\n');
  feed.add(1);
  t.match(await next(), /^id: 26\n/);
  abort.abort();
  await stream.return(undefined);
  t.equal(feed.listeners, 0);
});

t.test('nothing is lost or doubled over reconnects, also of the daemon', async (t) => {
  const api = new ApiUnderTest();
  await api.start();
  t.teardown(() => api.remove());
  const headers = { accept: 'text/event-stream' };
  const seen: number[] = [];
  const busy = async (rounds: number): Promise<void> => {
    for (let i = 0; i < rounds; i++) {
      await api.put(`t${i % 3}`, { command: 'true', allow_exit: true });
      await api.act(`t${i % 3}`, { action: 'start' });
    }
  };
  for (let round = 0; round < 6; round++) {
    const last = String(seen.at(-1) ?? 0);
    const reader = await api.open('/api/v1/events?since=0', { ...headers, 'last-event-id': last });
    await busy(5);
    await eventually(() => reader.events.length >= 3, 'some events');
    if (round === 3) await api.stop();
    await reader.close();
    if (round === 3) await api.start();
    seen.push(...reader.events.map(({ id }) => Number(id)));
  }
  t.same(
    seen,
    Array.from({ length: seen.length }, (_, i) => i + 1),
    'each once, in order',
  );
  const page = await api.json<{ events: ClusterEvent[]; next: number; resync: boolean }>(
    '/api/v1/events?since=3&wait=0',
  );
  t.equal(page.events[0]?.seq, 4);
  const ahead = await api.json<{ resync: boolean }>('/api/v1/events?since=999999&wait=30');
  t.equal(ahead.resync, true);
  const list = await api.json<ClusterEvent[]>('/api/v1/events?since=2&limit=2');
  t.same(
    list.map(({ seq }) => seq),
    [3, 4],
  );
  for (const bad of ['since=-1', 'since=x', 'wait=999', 'limit=0', 'unknown=1'])
    t.equal((await api.call(`/api/v1/events?${bad}`)).status, 400, bad);
  t.equal((await api.call('/api/v1/events', { headers: { ...headers, 'last-event-id': 'x' } })).status, 400);
});
