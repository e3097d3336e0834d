import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import t from 'tap';
import { arbitraryFor, type JsonSchema, nastyText } from '../fakes/arbitrary-for-schema.ts';
import { ApiUnderTest } from './api-under-test.ts';

const REQUESTS = Number(process.env.CEREBRO_FUZZ ?? 300);
const RAW = Math.ceil(REQUESTS / 5);
/** Streams have no end of their own; everything else has to answer. */
const STREAMS = /^\/(api\/v1\/(watch|events)|logs|logfile)/;
const STREAM_PATIENCE_MS = 400;
const PATIENCE_MS = 60_000;
t.setTimeout(120_000 + REQUESTS * 200);

interface Operation {
  parameters?: { name: string; in: 'path' | 'query'; schema: JsonSchema }[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
}
interface Call {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | null;
}

/** What runs is not left to chance: anything that a shell is given, and any folder that is written to. */
const FIXED: Record<string, Arbitrary<unknown>> = {
  command: fc.constantFrom('true', 'exec sleep 1000', 'false', '', 5, null),
  stdout_location: fc.constantFrom('', 7, null),
  stderr_location: fc.constantFrom('', 7, null),
  http: fc.constantFrom('http://127.0.0.1:1/', 'x', 3),
  tcp: fc.constantFrom('127.0.0.1:1', 'x', 3),
  signal: fc.constantFrom('SIGCONT', 'SIGUSR1', 'SIGKILL', 'SIGNOT', 9),
};
const NAMES = ['a', 'b b', 'ü', '..', '%', 'c.1'];
/** These would end the daemon. */
const LEFT_OUT = new Set(['/api/v1/suspend', '/api/v1/hand-over']);

const encoded = (text: string): string => {
  try {
    return encodeURIComponent(text);
  } catch {
    return '%ED%A0%80'; // half of a pair cannot be encoded
  }
};

const headers: Arbitrary<Record<string, string>> = fc.dictionary(
  fc.constantFrom(
    'if-match',
    'if-none-match',
    'range',
    'last-event-id',
    'accept',
    'cerebro-epoch',
    'content-type',
    'cookie',
  ),
  fc.oneof(
    fc.constantFrom(
      '*',
      '"1"',
      'W/"1"',
      'bytes=0-5',
      'bytes=-',
      '1:0,0',
      '12',
      'text/event-stream',
      'application/json',
      'text/yaml',
      'application/x-www-form-urlencoded',
      '1',
    ),
    fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '')),
  ),
  { maxKeys: 3 },
);

function callFor(path: string, method: string, operation: Operation): Arbitrary<Call> {
  const parameters = operation.parameters ?? [];
  const text = fc.oneof(fc.constantFrom(...NAMES), nastyText);
  const pathText = parameters
    .filter((parameter) => parameter.in === 'path')
    .reduce<Arbitrary<string>>(
      (made, { name }) => fc.tuple(made, text).map(([so, value]) => so.replace(`{${name}}`, encoded(value))),
      fc.constant(path),
    );
  const query = fc.dictionary(
    fc.oneof(
      fc.constantFrom('x', ...parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)),
      nastyText,
    ),
    fc.oneof(fc.constantFrom('1', '0', 'both', 'stderr', 'running', '10m', '/a|b/', 'a'), nastyText),
    { maxKeys: 3 },
  );
  const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  const body =
    method === 'get'
      ? fc.constant(null)
      : fc.oneof(
          { weight: 6, arbitrary: arbitraryFor(schema ?? {}, FIXED).map((value) => JSON.stringify(value) ?? '') },
          { weight: 1, arbitrary: nastyText },
        );
  return fc.record({ pathText, query, body, headers }).map((made) => {
    const search = Object.entries(made.query)
      .map(([key, value]) => `${encoded(key)}=${encoded(value)}`)
      .join('&');
    return {
      method: method.toUpperCase(),
      path: search === '' ? made.pathText : `${made.pathText}?${search}`,
      headers: { 'content-type': 'application/json', ...made.headers },
      body: made.body,
    };
  });
}

t.test('whatever is sent, there is no 5xx, no crash, and nothing outside of the data folder', async (t) => {
  const outside = mkdtempSync(join(tmpdir(), 'cerebro-fuzz-'));
  const api = new ApiUnderTest(outside);
  await api.start();
  t.teardown(async () => {
    await api.remove();
    rmSync(outside, { recursive: true, force: true });
  });
  const document = await api.json<{ paths: Record<string, Record<string, Operation>> }>('/api/v1/openapi.json');
  const calls = Object.entries(document.paths)
    .filter(([path]) => !LEFT_OUT.has(path))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => callFor(path, method, operation)),
    );
  const siblings = (): string[] => readdirSync(api.folder).sort();
  const before = siblings();
  for (const name of NAMES.filter((name) => name !== '..' && name !== '%'))
    await api.put(name, { command: 'echo hello; exec sleep 1000' });

  const send = ({ method, path, headers, body }: Call): Promise<number | 'open'> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(api.daemon.url);
      const token = { authorization: `Bearer ${api.daemon.adminToken}` };
      const outgoing = request({ hostname, port, method, path, headers: { ...headers, ...token } }, (answer) => {
        const status = answer.statusCode ?? 0;
        answer.once('end', () => resolve(status)).resume();
        answer.once('error', () => resolve(status));
      });
      const stream = STREAMS.test(path);
      outgoing.setTimeout(stream ? STREAM_PATIENCE_MS : PATIENCE_MS, () => {
        if (stream) resolve('open');
        else reject(new Error('there is no answer'));
        outgoing.destroy();
      });
      outgoing.once('error', (error) => reject(error));
      outgoing.end(body ?? undefined);
    });

  const seen = new Map<number | 'open', number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(...calls), async (call) => {
      const status = await send(call);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      if (typeof status === 'number' && (status >= 500 || status < 200)) throw new Error(`answered with ${status}`);
    }),
    { numRuns: REQUESTS, endOnFailure: true },
  );
  t.comment(`${[...seen].map(([status, count]) => `${status}: ${count}`).join(', ')}`);
  t.ok((seen.get(200) ?? 0) > 0, 'some of it was understood');

  await t.test('nor with bytes that are no HTTP', async (t) => {
    const starts = [
      'GET / HTTP/1.1\r\n',
      'PUT /api/v1/tasks/a HTTP/1.1\r\nContent-Length: 99\r\n\r\n{',
      'GET /logs/',
      '\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\n',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.option(fc.constantFrom(...starts), { nil: '' }),
        fc.uint8Array({ maxLength: 300 }),
        async (start, bytes) => {
          const answer = await speak(api.daemon.url, Buffer.concat([Buffer.from(start), bytes]));
          if (/^HTTP\/1\.1 5/.test(answer) && !answer.startsWith('HTTP/1.1 505')) throw new Error(answer.slice(0, 200));
        },
      ),
      { numRuns: RAW, endOnFailure: true },
    );
    t.equal((await fetch(`${api.daemon.url}/healthz`)).status, 200);
  });

  t.ok(Array.isArray(await api.tasks()), 'it is well');
  const known = new Set([...before, 'tasks.yaml', 'tasks-of-file.json', 'epoch', 'events.ndjson', 'history']);
  t.same(
    siblings().filter((name) => !known.has(name)),
    [],
    'nothing new in the data folder but what belongs there',
  );
  t.same(readdirSync(outside), [basename(api.folder)], 'nothing beside it');
});

/** Says something, and hears what comes until the other side closes or says nothing more. */
function speak(url: string, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let heard = '';
    const end = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.setTimeout(50, end);
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.once('close', end).once('error', end);
    socket.write(bytes);
  });
}
