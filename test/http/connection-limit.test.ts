import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import Koa from 'koa';
import t, { type Test } from 'tap';
import { HttpServer, plainDoor } from '../../core/http/doors/http-server.ts';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

const BOUNDS = { most: 4, reserve: 2, reserveMs: 60_000 };

/** More than the kernel keeps for a connection that nobody reads. */
const MUCH = Buffer.alloc(16 * 1024 * 1024, 'x');

/** Says "hello" to everybody, much at /much, and begins something without end at /stream. */
class SmallServer {
  streams = 0;
  /** Those of /much that have not arrived. */
  unread = 0;
  readonly #server: HttpServer;
  #port = 0;

  constructor(options: ConstructorParameters<typeof HttpServer>[1], bounds?: Parameters<typeof plainDoor>[1]) {
    const app = new Koa();
    app.silent = true;
    app.use(async (ctx) => {
      if (ctx.path !== '/stream') {
        for await (const _chunk of ctx.req); // all of it, before it is answered
        ctx.body = ctx.path === '/much' ? MUCH : 'hello';
        if (ctx.path !== '/much') return;
        this.unread += 1;
        ctx.res.once('close', () => {
          this.unread -= 1;
        });
        return;
      }
      const stream = new PassThrough();
      this.streams += 1;
      ctx.res.once('close', () => {
        this.streams -= 1;
        stream.destroy();
      });
      ctx.body = stream;
      ctx.flushHeaders();
    });
    this.#server = new HttpServer(app, bounds ? { ...options, door: plainDoor(app.callback(), bounds) } : options);
  }

  async start(t: Test): Promise<void> {
    this.#port = Number(new URL(await this.#server.listen('127.0.0.1', 0)).port);
    t.teardown(() => this.#server.close());
  }

  /** A connection that says so much and no more. */
  say(text: string): Heard {
    return new Heard(connect(this.#port, '127.0.0.1'), text);
  }

  ask(agent: Agent | false = false): Promise<{ status: number; text: string; connection: string | undefined }> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ port: this.#port, host: '127.0.0.1', agent }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.once('end', () =>
          resolve({ status: answer.statusCode ?? 0, text, connection: answer.headers.connection }),
        );
      });
      outgoing.once('error', reject).end();
    });
  }
}

class Heard {
  text = '';
  closed = false;
  readonly socket: Socket;

  constructor(socket: Socket, said: string) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
    if (said !== '') socket.write(said);
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.text)?.[1] ?? 0);
  }
}

const STREAM = 'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n';

t.test('whoever is only there makes room for who has something to ask', async (t) => {
  const server = new SmallServer({ bounds: BOUNDS });
  await server.start(t);
  const idle = [
    '',
    'GET /',
    'GET / HTTP/1.1\r\nHost: x\r\n',
    'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n', // it is answered, and keeps its connection
  ];
  const crowd: Heard[] = [];
  for (let i = 0; i < 40; i++) {
    crowd.push(server.say(idle[i % idle.length] ?? ''));
    if (i % 10 === 0) t.match(await server.ask(), { status: 200, text: 'hello' });
  }
  await eventually(() => crowd.filter(({ closed }) => !closed).length <= BOUNDS.most, 'the others were closed');
  t.match(await server.ask(), { status: 200 });
  for (const { socket } of crowd) socket.destroy();
});

t.test('what is at work stays; a few more get one answer each, and then it is 503', async (t) => {
  const server = new SmallServer({ bounds: BOUNDS });
  await server.start(t);
  const followers = Array.from({ length: 4 }, () => server.say(STREAM));
  await eventually(() => server.streams === 4, 'all are followed');
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  for (let i = 0; i < 10; i++)
    t.match(await server.ask(agent), { status: 200, text: 'hello', connection: 'close' }, 'for one answer');
  const more = Array.from({ length: 2 }, () => server.say(STREAM));
  await eventually(() => server.streams === 6, 'the reserve is used up');
  const refused = await server.ask();
  t.equal(refused.status, 503);
  t.match(JSON.parse(refused.text), { error: { code: 'unavailable', message: /too many connections/ } });
  t.equal(server.streams, 6, 'nobody who was at work had to go');
  followers[0]?.socket.destroy();
  await eventually(async () => (await server.ask()).status === 200, 'there is room again');
  for (const { socket } of [...followers, ...more]) socket.destroy();
});

t.test('who does not read what he was answered makes room, too', async (t) => {
  const server = new SmallServer({ bounds: { ...BOUNDS, reserve: 1 } });
  await server.start(t);
  const follower = server.say(STREAM);
  await eventually(() => server.streams === 1, 'one follows');
  const deaf: Heard[] = [];
  for (let i = 0; i < 3; i++) {
    const one = server.say('GET /much HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2));
    one.socket.pause();
    deaf.push(one);
  }
  await eventually(() => server.unread === 6, 'all were answered, and nobody reads');
  for (let i = 0; i < 3; i++) {
    const asked = server.say('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await eventually(() => asked.text.endsWith('hello'), 'it is answered');
    t.match(asked.text, /Connection: keep-alive/, 'with a place of its own, and not for one answer');
  }
  await eventually(() => server.unread === 0, 'their connections were closed');
  t.notOk(follower.closed, 'who is at work stays');
  for (const { socket } of [follower, ...deaf]) socket.destroy();
});

t.test('who has a place of the reserve does not keep it', async (t) => {
  const server = new SmallServer({ bounds: { most: 1, reserve: 1, reserveMs: 300 } });
  await server.start(t);
  const first = server.say(STREAM);
  await eventually(() => server.streams === 1, 'it is followed');
  const second = server.say(STREAM);
  await eventually(() => second.closed, 'the second is cut');
  t.notOk(first.closed);
  first.socket.destroy();
});

t.test('a request that does not come to its end is closed, in its head or in its body', async (t) => {
  const server = new SmallServer({}, { headersMs: 200, requestMs: 400, checkMs: 50 });
  await server.start(t);
  for (const begin of [
    'GET / HTTP/1.1\r\nHost:',
    'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{',
    'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
  ]) {
    const slow = server.say(begin);
    const drip = setInterval(() => slow.socket.write(begin.startsWith('GET') ? 'x' : '1\r\n1\r\n'), 20);
    await eventually(() => slow.closed, 'it is closed');
    clearInterval(drip);
    t.equal(slow.status, 408);
  }
  const whole = server.say(STREAM);
  await eventually(() => server.streams === 1, 'it is followed');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.notOk(whole.closed, 'an answer may take as long as it likes');
  whole.socket.destroy();
});

t.test('heads and bodies are bounded, and those of strangers narrowly', async (t) => {
  const api = new ApiUnderTest();
  await api.start();
  t.teardown(() => api.remove());
  const long = await api.call('/api/v1/tasks', { headers: { 'x-long': 'x'.repeat(20_000) } });
  t.equal(long.status, 431);
  const put = async (bytes: number, authorization: string): Promise<number> =>
    (
      await fetch(`${api.daemon.url}/api/v1/tasks/a`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', ...(authorization !== '' && { authorization }) },
        body: JSON.stringify({ x: 'x'.repeat(bytes) }),
      })
    ).status;
  const right = `Bearer ${api.daemon.adminToken}`;
  t.equal(await put(900_000, right), 400, 'it was read, and is no task');
  t.equal(await put(1_100_000, right), 413);
  t.equal(await put(10_000, ''), 401);
  t.equal(await put(20_000, ''), 413);
  t.equal(await put(20_000, 'Bearer wrong'), 413);
});
