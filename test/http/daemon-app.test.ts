import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { z } from 'zod';
import type { Logger } from '../../core/contracts/logger.ts';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { type ApiRoute, apiRoute } from '../../core/http/routes/api-route.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

interface Logged {
  level: 'debug' | 'error';
  fields: object;
}

/** An app with this one route, at `base`, and what it logs. */
async function app(t: Test, handle: ApiRoute['handle']): Promise<{ base: string; logged: Logged[] }> {
  const logged: Logged[] = [];
  const log =
    (level: Logged['level']): Logger['debug'] =>
    (fields) => {
      logged.push({ level, fields });
    };
  const logger: Logger = { ...silentLogger, debug: log('debug'), error: log('error') };
  const route = apiRoute({ method: 'get', path: '/it', summary: 'it', answer: z.string(), open: true, handle });
  const auth = new Auth({ token: 'token', sessionKey: randomBytes(32), name: 'test' });
  const server = new HttpServer(
    daemonApp({ title: 'test', version: '0', auth, logger, routes: [route], ready: () => true }),
  );
  const base = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.close());
  return { base, logged };
}

async function* failing(error: Error): AsyncGenerator<string> {
  yield 'a beginning';
  await Promise.resolve();
  throw error;
}

t.test('an answer that fails on its way is told of as the fault that it is', async (t) => {
  const { base, logged } = await app(t, (_input, ctx) => {
    ctx.body = Readable.from(failing(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })));
  });
  await t.rejects(fetch(`${base}/it?code=private`).then((answer) => answer.text()));
  await eventually(() => logged.length > 0, 'it is logged');
  t.match(logged, [{ level: 'error', fields: { err: { code: 'EIO' }, method: 'GET', path: '/it' } }]);
  t.notMatch(JSON.stringify(logged), 'private');
});

t.test('that somebody went away is no fault', async (t) => {
  let closed = false;
  const { base, logged } = await app(t, (_input, ctx) => {
    ctx.body = new Readable({ read: () => undefined });
    ctx.res.once('close', () => {
      closed = true;
    });
    ctx.flushHeaders();
  });
  const abort = new AbortController();
  await fetch(`${base}/it`, { signal: abort.signal });
  abort.abort();
  await eventually(() => closed && logged.length > 0, 'it is closed');
  t.match(
    logged.map(({ level }) => level),
    ['debug'],
  );
});

t.test('nor is it one that he speaks no HTTP after a while', async (t) => {
  const { base, logged } = await app(t, (_input, ctx) => {
    ctx.body = new Readable({ read: () => undefined });
    ctx.flushHeaders();
  });
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.on('error', () => undefined).write('GET /it HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.once('data', () => socket.write('\u0000\u0001 nonsense\r\n\r\n'));
  await eventually(() => logged.length > 0, 'it is closed');
  t.match(
    logged.map(({ level }) => level),
    ['debug'],
  );
  socket.destroy();
});

t.test('nor is a machine that goes away while what it says is passed on', async (t) => {
  const { base, logged } = await app(t, (_input, ctx) => {
    ctx.body = Readable.from(failing(Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' })));
  });
  await t.rejects(fetch(`${base}/it`).then((answer) => answer.text()));
  await eventually(() => logged.length > 0, 'it is logged');
  t.match(logged, [{ level: 'debug' }]);
});
