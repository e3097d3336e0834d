import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import Koa from 'koa';
import t from 'tap';
import { HttpServer, plainDoor } from '../../core/http/doors/http-server.ts';
import { TwoWayDoor } from '../../core/http/doors/two-way-door.ts';
import { eventually } from '../suites/eventually.ts';

/** The timer that the kernel runs for the server's end of each connection at a port, as proc(5) numbers them; 01: sent, and not there yet; 02: it asks after silence. */
function timersAt(port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, at, , state]) => at?.endsWith(local) && state === established)
    .map((fields) => fields[5]?.slice(0, 2) ?? '');
}

const doors = {
  'at a door of one way': plainDoor,
  'at a door of two ways': (handler: ReturnType<Koa['callback']>) =>
    new TwoWayDoor({ handler, identity: null, plain: () => true, refusal: '' }),
};

for (const [name, doorFor] of Object.entries(doors))
  t.test(`the kernel looks whether a silent follower is still there, ${name}`, async (t) => {
    const app = new Koa();
    app.silent = true;
    app.use((ctx) => {
      ctx.body = new PassThrough();
      ctx.flushHeaders();
    });
    const server = new HttpServer(app, { door: doorFor(app.callback()) });
    const port = Number(new URL(await server.listen('127.0.0.1', 0)).port);
    t.teardown(() => server.close());
    const follower = connect(port, '127.0.0.1');
    follower.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    let heard = '';
    follower.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    await eventually(() => heard.startsWith('HTTP/1.1 200'), 'it follows');
    await eventually(() => timersAt(port)[0] !== '01', 'he has what was sent');
    t.same(timersAt(port), ['02'], 'his silence has a timer');
    follower.destroy();
  });
