import { Bell } from '../../machine/logs/bell.ts';
import type { ClusterEvent } from '../../model/event.ts';

/** A timeline that can be read from any number on, for as long as that is kept. */
export interface EventFeed {
  /** The numbers of the first and the last event that are kept; `newest` 0: there was none yet. */
  span(): Promise<{ oldest: number; newest: number }>;
  /** The events after number `seq`, oldest first, at most `limit`. */
  after(seq: number, limit: number): Promise<readonly ClusterEvent[]>;
  /** Calls back when there may be more; returns how to stop. */
  onMore(listener: () => void): () => void;
}

export interface EventPage {
  events: readonly ClusterEvent[];
  /** The `since` to go on with. */
  next: number;
  /** What came after `since` is no longer kept, or never was: read the state anew, then go on from `next`. */
  resync: boolean;
}

const PAGE = 500;
/** A comment that keeps proxies from closing a quiet stream, and the number up to which everything was told. */
const BEAT_MS = 15_000;

/** What comes after `since`, as far as it is there now; null: from the first that is kept. */
export async function eventPage(feed: EventFeed, since: number | null, limit = PAGE): Promise<EventPage> {
  const { oldest, newest } = await feed.span();
  if (since !== null && (since > newest || since < oldest - 1)) return { events: [], next: newest, resync: true };
  const from = since ?? 0;
  // Bells ring for much that is no event: who has all is not to cost a look through the timeline each time.
  if (from >= newest) return { events: [], next: newest, resync: false };
  const events = await feed.after(from, limit);
  const last = events.at(-1)?.seq ?? from;
  // With a filter most numbers are passed over; a reader of few events must not seem to be far behind.
  return { events, next: events.length < limit ? Math.max(newest, last) : last, resync: false };
}

/** Waits for something to tell, at most `waitMs`; then an empty page says how far everything was looked through. */
export async function nextEventPage(
  feed: EventFeed,
  since: number | null,
  options: { limit: number; waitMs: number; signal: AbortSignal },
): Promise<EventPage> {
  const bell = new Bell();
  const off = feed.onMore(() => bell.ring());
  const until = performance.now() + options.waitMs;
  try {
    let at = since;
    for (;;) {
      const page = await eventPage(feed, at, options.limit);
      const left = until - performance.now();
      if (page.resync || page.events.length > 0 || left <= 0 || options.signal.aborted) return page;
      at = page.next;
      await bell.wait(options.signal, left);
    }
  } finally {
    off();
  }
}

/**
 * The timeline as server-sent events, each with its number as its id. It reads only what its reader takes, so one that is slow
 * holds nothing here; one that fell behind what is kept gets `resync`, and goes on with what is new.
 */
export async function* eventStream(feed: EventFeed, since: number | null, signal: AbortSignal): AsyncGenerator<string> {
  const bell = new Bell();
  const off = feed.onMore(() => bell.ring());
  try {
    yield 'retry: 1000\n\n';
    let at = since;
    while (!signal.aborted) {
      const page = await eventPage(feed, at);
      if (page.resync) yield `event: resync\nid: ${page.next}\ndata: {"next":${page.next}}\n\n`;
      else if (page.events.length > 0) yield page.events.map(asMessage).join('');
      const told = page.events.at(-1)?.seq ?? at;
      at = page.next;
      if (page.events.length >= PAGE) continue;
      // An id without data is no message; it says up to where there was nothing for this reader.
      if (told !== at && !page.resync) yield `id: ${at}\n\n`;
      if (!(await bell.wait(signal, BEAT_MS)) && !signal.aborted) yield ':\n\n';
    }
  } finally {
    off();
  }
}

function asMessage(event: ClusterEvent): string {
  return `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`;
}
