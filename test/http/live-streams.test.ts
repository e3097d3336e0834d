import { Readable } from 'node:stream';
import Koa from 'koa';
import t, { type Test } from 'tap';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { LiveStreams } from '../../core/http/pages/live-streams.ts';
import { eventually } from '../suites/eventually.ts';

const PAGES = 21;

/** Serves an app for the time of a test; `abort` sends its readers away. */
async function served(t: Test, app: Koa, streams: LiveStreams): Promise<{ url: string; abort: AbortController }> {
  const server = new HttpServer(app);
  const url = await server.listen('127.0.0.1', 0);
  const abort = new AbortController();
  t.teardown(async () => {
    abort.abort();
    streams.stop();
    await server.close();
  });
  return { url, abort };
}

t.test('every open page hears of each change, and a change while some are being told is told to all', async (t) => {
  const ears = new Set<() => void>();
  const streams = new LiveStreams((listener) => {
    ears.add(listener);
    return () => ears.delete(listener);
  });
  const change = (): void => {
    for (const ear of ears) ear();
  };
  const app = new Koa();
  // Readers that go away are what is tested.
  app.silent = true;
  app.use((ctx) => streams.open(ctx));
  const { url, abort } = await served(t, app, streams);
  t.equal(ears.size, 0, 'nobody looks on, so nothing is listened to');
  const heard: number[] = Array.from({ length: PAGES }, () => 0);
  const listen = async (page: number): Promise<void> => {
    const answer = await fetch(url, { signal: abort.signal });
    const read = async (): Promise<void> => {
      for await (const chunk of answer.body ?? [])
        heard[page] =
          (heard[page] ?? 0) +
          (Buffer.from(chunk)
            .toString()
            .match(/event: change/g)?.length ?? 0);
    };
    read().catch(() => undefined); // ended by the teardown
  };
  await Promise.all(heard.map((_, page) => listen(page)));
  t.equal(ears.size, 1, 'many pages are one listener');
  change();
  await eventually(() => heard.some((count) => count === 1), 'the first are told');
  change();
  await eventually(() => heard.every((count) => count === 2), 'all are told of both');
  abort.abort();
  await eventually(() => ears.size === 0, 'they are gone');
});

t.test('a page that does not read has one change waiting, and not all that there were', async (t) => {
  let ear = (): void => undefined;
  const streams = new LiveStreams((listener) => {
    ear = listener;
    return () => undefined;
  });
  const app = new Koa();
  app.silent = true;
  let unread: Readable | null = null;
  app.use((ctx) => {
    streams.open(ctx);
    if (ctx.path !== '/unread') return;
    // As it is where the connection takes no more.
    unread = ctx.body instanceof Readable ? ctx.body : null;
    ctx.respond = false;
  });
  const { url, abort } = await served(t, app, streams);
  const { signal } = abort;
  await fetch(`${url}/unread`, { signal });
  const reader = (await fetch(url, { signal })).body?.getReader();
  let heard = '';
  for (let changes = 1; changes <= 4; changes++) {
    ear();
    while (heard.split('event: change').length <= changes) {
      const piece = await reader?.read();
      if (!piece?.value) throw new Error('the stream has ended');
      heard += Buffer.from(piece.value).toString();
    }
  }
  const waiting = String((unread as Readable | null)?.read());
  t.equal(waiting.split('event: change').length - 1, 1, 'it hears that something changed');
  t.ok(waiting.length < 100);
});
