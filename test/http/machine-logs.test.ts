import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

const api = new ApiUnderTest();
t.before(() => api.start());
t.teardown(() => api.remove());

/** A task that writes to one stream and then the other, when it is told to: each turn waits for a file. */
const TURNS = `
  turn() { while [ ! -e "$1" ]; do sleep 0.05; done; }
  echo out 1; turn a; echo err 1 >&2; turn b; echo out 2; turn c; echo err 2 >&2; echo err 3 >&2; turn d; echo out 3; exec sleep 1000`;

async function turns(id: string): Promise<void> {
  await api.put(id, { command: TURNS, cwd: api.folder });
  const said = (text: string): Promise<void> =>
    eventually(async () => (await api.text(`/logs/${id}?stream=both`)).endsWith(`${text}\n`), `it says ${text}`);
  for (const [file, text] of [
    ['', 'out 1'],
    ['a', 'err 1'],
    ['b', 'out 2'],
    ['c', 'err 3'],
    ['d', 'out 3'],
  ] as const) {
    if (file !== '') {
      // What is closer than a tenth of a second has no order.
      await new Promise((resolve) => setTimeout(resolve, 300));
      writeFileSync(join(api.folder, file), '');
    }
    await said(text);
  }
}

t.test('the streams are merged by time, read from a time on, and searched', async (t) => {
  await turns('turns');
  const text = (query: string): Promise<string> => api.text(`/logs/turns?${query}`);
  const merged = 'out 1\nerr 1\nout 2\nerr 2\nerr 3\nout 3\n';
  t.equal(await text('stream=both'), merged);
  t.equal(await text('stream=both&tail=2'), 'err 3\nout 3\n');
  t.equal(await text('stream=both&grep=2'), 'out 2\nerr 2\n');
  t.equal(await text('grep=2'), 'out 2\n');
  t.equal(await text('stream=stderr&grep=/^ERR [13]$/i'), 'err 1\nerr 3\n');
  t.equal(await text('stream=both&grep=/[123]/&tail=1'), 'out 3\n');
  t.equal(await text('stream=both&tail=0'), '');
  t.equal(await text('stream=both&since=1d'), merged);
  t.equal(await text(`since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`), '');
  for (const bad of ['grep=', 'grep=/(/', 'since=yesterday', 'stream=both&offset=3', 'download=perhaps']) {
    const answer = await api.call(`/logs/turns?${bad}`);
    t.equal(answer.status, 400, bad);
  }
  await t.test('since leaves out what was written before', async (t) => {
    await api.put('two halves', {
      command: 'echo early; while [ ! -e late ]; do sleep 0.05; done; echo late; exec sleep 1000',
      cwd: api.folder,
    });
    await eventually(async () => (await api.text('/logs/two%20halves')) === 'early\n', 'the early half');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const between = new Date(Date.now() - 500).toISOString();
    writeFileSync(join(api.folder, 'late'), '');
    await eventually(async () => (await api.text('/logs/two%20halves')).includes('late'), 'the late half');
    await eventually(
      async () => (await api.text(`/logs/two%20halves?since=${between}`)) === 'late\n',
      'only the late half is after the time between',
    );
    t.equal(await api.text('/logs/two%20halves?since=1h'), 'early\nlate\n');
  });
});

t.test('ranges are offsets of the run', async (t) => {
  await api.put('count', { command: 'for i in 1 2 3 4 5; do echo line $i; done; exec sleep 1000' });
  await eventually(async () => (await api.text('/logs/count')).includes('line 5'), 'it has written');
  const range = (range: string): Promise<Response> => api.call('/logs/count', { headers: { range } });
  const middle = await range('bytes=7-13');
  t.equal(middle.status, 206);
  t.equal(middle.headers.get('content-range'), 'bytes 7-13/35');
  t.equal(await middle.text(), 'line 2\n');
  t.equal(await (await range('bytes=-7')).text(), 'line 5\n');
  t.equal(await (await range('bytes=28-')).text(), 'line 5\n');
  t.equal(await (await range('bytes=28-99')).text(), 'line 5\n');
  for (const wrong of ['bytes=35-', 'bytes=-0']) {
    const outside = await range(wrong);
    t.equal(outside.status, 416, wrong);
    t.equal(outside.headers.get('content-range'), 'bytes */35');
    t.match(await outside.text(), /bytes 0 to 35 of this run are kept/);
  }
  for (const ignored of ['bytes=9-3', 'lines=1-2', 'bytes=a-b', 'bytes=0-1,4-5'])
    t.equal((await range(ignored)).status, 200, ignored);
  const download = await api.call('/logs/count?download');
  t.equal(download.headers.get('content-disposition'), 'attachment; filename="count.1.stdout.log"');
  t.equal((await download.text()).length, 35);
  for (const [query, headers, status] of [
    ['run=9', {}, 404],
    ['run=9&stream=both', {}, 404],
    ['grep=/(/', {}, 400],
    ['', { range: 'bytes=35-' }, 416],
  ] as const) {
    const refused = await api.call(`/logs/count?download&${query}`, { headers });
    t.equal(refused.status, status, query);
    t.equal(refused.headers.get('content-disposition'), null, 'an error is not kept in its place');
    await refused.text();
  }
});

/** By when a line was written is known to a tenth of a second, and better when it is read again: it is no part of what the line is. */
function timeless({ id, data }: { id: string; data: unknown }): object {
  const { at: _at, ...line } = data as Record<string, unknown>;
  return { id, ...line };
}

t.test('lines as events: each id goes on after its line, over restarts of the task and lost connections', async (t) => {
  await api.put('talk', { command: 'echo "run $CEREBRO_COPY"; echo oops >&2; exec sleep 1000', ensure_alive: true });
  const headers = { accept: 'text/event-stream' };
  const first = await api.open('/logs/talk?stream=both', headers);
  t.match(first.response.headers.get('content-type'), /event-stream/);
  await eventually(() => first.events.length === 2, 'both lines of the first run');
  await api.act('talk', { action: 'restart' });
  await eventually(() => first.events.length === 4, 'both lines of the second run');
  await first.close();
  const began = Date.now() - 600_000;
  t.ok(
    first.events.every(({ data }) => (data as { at: number }).at > began),
    'each says by when it was written',
  );
  t.match(
    first.events.map(timeless),
    [1, 2].flatMap((run) => [
      { run, stream: 'stdout', line: 'run talk' },
      { run, stream: 'stderr', line: 'oops' },
    ]),
  );
  for (const [i, { id }] of first.events.entries()) {
    const again = await api.open('/logs/talk?stream=both', { ...headers, 'last-event-id': id });
    await eventually(() => again.events.length >= 3 - i, `the rest after ${id}`);
    await again.close();
    t.same(again.events.map(timeless), first.events.slice(i + 1).map(timeless), `after ${id}`);
  }
  t.equal((await api.call('/logs/talk', { headers: { ...headers, 'last-event-id': 'x' } })).status, 400);
});

t.test('a cursor survives that the head of the log is cut off', async (t) => {
  const LINES = 20_000;
  await api.put('long', {
    command: `seq -f '%09.0f and some text' 1 ${LINES}; exec sleep 1000`,
    logs: { max_bytes: 65_536 },
  });
  await eventually(async () => ((await api.task('long')).logs?.trimmedBytes ?? 0) > 65_536, 'lines made room');
  await eventually(async () => (await api.text('/logs/long?tail=1')).startsWith('000020000'), 'it is at its end');
  const headers = { accept: 'text/event-stream' };
  const reader = await api.open('/logs/long?tail=3', headers);
  await eventually(() => reader.events.length === 3, 'the last three');
  await reader.close();
  const [one] = reader.events;
  t.match(one?.data, { line: '000019998 and some text' });
  const again = await api.open('/logs/long', { ...headers, 'last-event-id': one?.id ?? '' });
  await eventually(() => again.events.length === 2, 'goes on after the first of them');
  await again.close();
  t.same(again.events.map(timeless), reader.events.slice(1).map(timeless));
  // What was cut off is not there; it goes on with the first whole line that is.
  const far = await api.open('/logs/long', { ...headers, 'last-event-id': '1:24,0' });
  await eventually(() => (far.events.at(-1)?.data as { line: string })?.line.startsWith('000020000'), 'to the end');
  await far.close();
  const numbers = far.events.map(({ data }) => Number((data as { line: string }).line.slice(0, 9)));
  t.ok((numbers[0] ?? 0) > 2);
  t.ok(
    numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1),
    'without a gap from there',
  );
  const outside = await api.call('/logs/long', { headers: { range: 'bytes=0-10' } });
  t.equal(outside.status, 416, 'nor can it be asked for');
});

t.test('many followers, slow ones and lost ones among them, get every line once', async (t) => {
  const FOLLOWERS = 100;
  await api.put('crowd', {
    command:
      'while [ ! -e go ]; do sleep 0.05; done; for i in $(seq 200); do echo "line $i"; done; echo done; exec sleep 1000',
    cwd: api.folder,
  });
  await api.phase('crowd', 'running');
  const readers = await Promise.all(Array.from({ length: FOLLOWERS }, () => api.open('/logs/crowd?follow')));
  const events = await Promise.all(
    Array.from({ length: 20 }, () => api.open('/logs/crowd', { accept: 'text/event-stream' })),
  );
  // Connections that nobody reads from.
  const stuck = new AbortController();
  for (let i = 0; i < 10; i++) await api.call('/logs/crowd?follow', { signal: stuck.signal });
  for (const reader of readers.splice(0, 30)) await reader.close();
  writeFileSync(join(api.folder, 'go'), '');
  const whole = `${Array.from({ length: 200 }, (_, i) => `line ${i + 1}\n`).join('')}done\n`;
  await eventually(() => readers.every(({ text }) => text.endsWith('done\n')), 'all have the last line');
  t.ok(readers.every(({ text }) => text === whole));
  await eventually(() => events.every((reader) => reader.events.length === 201), 'as events too');
  await api.call('/api/v1/tasks/crowd', { method: 'DELETE' });
  await eventually(() => readers.every(({ ended }) => ended), 'with the task the streams end');
  stuck.abort();
  for (const reader of [...readers, ...events]) await reader.close();
  t.notOk(existsSync(join(api.folder, 'tasks', 'crowd')));
});

t.test('the list of logs names the runs that are kept', async (t) => {
  const list = await api.json<{ task: string; runs: number[] }[]>('/logs');
  t.match(
    list.find(({ task }) => task === 'talk'),
    { task: 'talk', job: 'talk', run: 2, runs: [1, 2] },
  );
});
