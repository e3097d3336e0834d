import { request } from 'node:http';
import { connect } from 'node:net';
import fc, { type Arbitrary } from 'fast-check';
import { arbitraryFor, type JsonSchema, nastyText } from '../fakes/arbitrary-for-schema.ts';

/** Streams have no end of their own; everything else has to answer. */
const STREAMS = /^\/(api\/v1\/(watch|events)|logs|logfile)/;
const STREAM_PATIENCE_MS = 400;
const PATIENCE_MS = 60_000;

export interface Operation {
  parameters?: { name: string; in: 'path' | 'query'; schema: JsonSchema }[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
}
export interface Call {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | null;
}

export interface Paths {
  paths: Record<string, Record<string, Operation>>;
}

/** What goes into the places of a path, and the values of keys that are not left to chance. */
export interface FuzzChoices {
  names: readonly string[];
  fixed: Record<string, Arbitrary<unknown>>;
}

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

/** A call of one operation, mostly as its schema has it. */
export function callFor(
  path: string,
  method: string,
  operation: Operation,
  { names, fixed }: FuzzChoices,
): Arbitrary<Call> {
  const parameters = operation.parameters ?? [];
  const text = fc.oneof(fc.constantFrom(...names), nastyText);
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
          { weight: 6, arbitrary: arbitraryFor(schema ?? {}, fixed).map((value) => JSON.stringify(value) ?? '') },
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

/** The status of the answer; `open`: it is a stream, and goes on. */
export function send(
  daemon: { url: string; adminToken: string },
  { method, path, headers, body }: Call,
): Promise<number | 'open'> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(daemon.url);
    const token = { authorization: `Bearer ${daemon.adminToken}` };
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
}

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

/** Answers to bytes that are no HTTP: none of them may be a failure of the server. */
export async function speakNonsense(url: string, runs: number): Promise<void> {
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
        const answer = await speak(url, Buffer.concat([Buffer.from(start), bytes]));
        if (/^HTTP\/1\.1 5/.test(answer) && !answer.startsWith('HTTP/1.1 505')) throw new Error(answer.slice(0, 200));
      },
    ),
    { numRuns: runs, endOnFailure: true },
  );
}
