import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { DatagramRelay } from '../fakes/datagram-relay.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put, refusal } from '../suites/dns-look.ts';
import { bind } from './dns-server-kinds.ts';
import { programPath, RealDnsServer } from './real-dns-server.ts';

const zone = 'startup.co.test';
const folder = mkdtempSync(join(tmpdir(), 'cerebro-rfc2136-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
const anyKey = join(folder, 'any.key');
writeFileSync(anyKey, `hmac-sha256:any:${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });

async function started(t: Test, port: number, options: object = {}): Promise<Rfc2136Provider> {
  const all = { host: '127.0.0.1', port, key_file: anyKey, timeout: 30, ...options };
  const services = { clock: new SystemClock(), logger: silentLogger, dataDir: folder };
  const provider = new Rfc2136Provider(services, config.parse({ servers: [all] }));
  t.teardown(() => provider.stop());
  await provider.start();
  return provider;
}

async function relay(t: Test, port: number): Promise<DatagramRelay> {
  const made = new DatagramRelay(port);
  await made.start();
  t.teardown(() => made.stop());
  return made;
}

/** What is open and is closed after each test. */
let ends: (() => Promise<void>)[] = [];

async function closeAll(): Promise<void> {
  const all = ends;
  ends = [];
  for (const end of all) await end();
}
t.afterEach(closeAll);

async function listen(onConnection: (socket: Socket) => void = () => undefined): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

/** The last byte of a signed answer's MAC is before its id, error and length of other data. */
function forged(answer: Buffer): Buffer {
  const copy = Buffer.from(answer);
  copy.writeUInt8(copy.readUInt8(copy.length - 7) ^ 1, copy.length - 7);
  return copy;
}

/** The request, turned into an answer with that code by somebody without the key. */
function unsigned(request: Buffer, rcode: number): Buffer {
  const answer = Buffer.from(request.subarray(0, 12 + zone.length + 2 + 4));
  answer.writeUInt16BE(0x8000 | (request.readUInt16BE(2) & 0x7800) | rcode, 2);
  answer.fill(0, 6, 12);
  return answer;
}

t.test('over a bad network', async (t) => {
  const there = ['dig', 'nsupdate', 'named'].every((program) => programPath(program) !== null);
  if (skipUnless(t, there, `this needs BIND: apt-get install ${bind.packages}`)) return;
  const server = new RealDnsServer(bind, [zone], 'hmac-sha256');
  t.teardown(() => server.remove());
  await server.start();

  await t.test('what is lost is sent again, and a change that was done already is done', async (t) => {
    const between = await relay(t, server.port);
    // The answer to the change itself is lost, so the server gets it twice, and finds its prerequisite broken the second time.
    let lost = 0;
    between.onAnswer = (answer) => (lost++ === 0 ? [] : [answer]);
    const provider = await started(t, between.port, { key_file: server.keyFile, timeout: 9 });
    await provider.apply(zone, [put(`lost.${zone}`, 'A', ['192.0.2.1'])]);
    t.equal((await server.dig(`lost.${zone}`, 'A'))[0]?.value, '192.0.2.1');
    t.ok(between.requests >= 3);
  });

  await t.test('a forged answer is passed over, and the true one taken', async (t) => {
    const between = await relay(t, server.port);
    between.onAnswer = (answer) => [forged(answer), Buffer.from('no message'), answer];
    const provider = await started(t, between.port, { key_file: server.keyFile });
    await provider.apply(zone, [put(`forged.${zone}`, 'A', ['192.0.2.1'])]);
    t.equal((await server.dig(`forged.${zone}`, 'A'))[0]?.value, '192.0.2.1');
  });

  await t.test('where only forged answers come, nothing is believed', async (t) => {
    const between = await relay(t, server.port);
    between.onAnswer = (answer) => [forged(answer)];
    const provider = await started(t, between.port, { key_file: server.keyFile, timeout: 3 });
    const { code, message } = await refusal(provider.zoneOf(zone));
    t.equal(code, 'unavailable');
    t.match(message, /its signature is wrong/);
  });
});

t.test('a server is found by its name; a name that is none is said so', async (t) => {
  const silent = await relay(t, 9);
  silent.onRequest = () => [];
  silent.answer = (request) => [unsigned(request, 5)];
  const named = await started(t, silent.port, { host: 'localhost' });
  t.equal(await named.zoneOf(zone), null);
  const nobody = await started(t, silent.port, { host: 'no such name' });
  t.match(await refusal(nobody.zoneOf(zone)), {
    code: 'unavailable',
    message: /server no such name port \d+: its name has no address/,
  });
});

t.test('a server that is silent is unavailable, and stopping does not wait for it', async (t) => {
  const between = await relay(t, 9);
  between.onRequest = () => [];
  const provider = await started(t, between.port, { timeout: 0.6 });
  const { code, message } = await refusal(provider.apply(zone, [put(`a.${zone}`, 'A', ['192.0.2.1'])]));
  t.equal(code, 'unavailable');
  t.match(message, /did not answer within 0\.6 s/);
  t.equal(between.requests, 3);

  const patient = await started(t, between.port, { timeout: 60 });
  const call = refusal(patient.zoneOf(zone));
  await new Promise((resolve) => setImmediate(resolve));
  await patient.stop();
  t.match((await call).message, /stopping/);
});

t.test('a server that accepts and says nothing, by TCP', async (t) => {
  const server = await listen();
  const provider = await started(t, server, { transport: 'tcp', timeout: 0.5 });
  const { code, message } = await refusal(provider.zoneOf(zone));
  t.equal(code, 'unavailable');
  t.match(message, /did not answer within 0\.5 s/);
});

t.test('a port that nobody listens on is said so, by UDP and TCP', async (t) => {
  const port = await listen();
  await closeAll();
  for (const transport of ['udp', 'tcp']) {
    const provider = await started(t, port, { transport });
    t.match(await refusal(provider.zoneOf(zone)), { code: 'unavailable', message: /nothing listens there/ });
  }
});

t.test('a server that hangs up, by TCP', async (t) => {
  const server = await listen((socket) => socket.destroy());
  const provider = await started(t, server, { transport: 'tcp' });
  t.equal((await refusal(provider.zoneOf(zone))).code, 'unavailable');
});

t.test('answers without a signature are at most a refusal', async (t) => {
  for (const [rcode, code, sentence] of [
    [0, 'unavailable', /it is not signed/],
    [2, 'unavailable', /SERVFAIL/],
    [4, 'invalid', /NOTIMP/],
    [5, 'forbidden', /REFUSED, not signed/],
    [9, 'forbidden', /NOTAUTH, not signed/],
    [10, 'invalid', /outside of the zone/],
  ] as const) {
    const forger = await relay(t, 9);
    forger.onRequest = () => [];
    forger.answer = (request) => [unsigned(request, rcode)];
    const provider = await started(t, forger.port, { timeout: rcode === 0 ? 2 : 30 });
    const refused = await refusal(provider.apply(zone, [put(`a.${zone}`, 'A', ['192.0.2.1'])]));
    t.equal(refused.code, code);
    t.match(refused.message, sentence);
  }
});
