import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { DnsLocal } from '../../providers/dns-local/dns-local.ts';
import { config } from '../../providers/dns-local/schema.ts';
import { dig, digLook, hasDig } from '../fakes/dig.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';

const ZONE = 'startup.co.test';

function over(dataDir: string, options: Record<string, unknown> = {}): DnsLocal {
  return new DnsLocal(
    { clock: new SystemClock(), logger: silentLogger, dataDir },
    config.parse({ port: 0, zones: [ZONE, `eu.${ZONE}`], ...options }),
  );
}

async function make(): Promise<DnsUnderTest> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-dns-'));
  let current = over(dataDir);
  const provider = current;
  return {
    provider,
    zone: ZONE,
    innerZone: `eu.${ZONE}`,
    look: (name, type) => digLook(current.port, name, type),
    foreign: async (name, type, values) => {
      const was = (await current.list(name)).find((set) => set.name === name && set.type === type)?.values ?? null;
      await current.apply(ZONE, [{ kind: 'put', set: { name, type, ttl: 300, values: [...values] }, was }]);
    },
    atomic: true,
    again: () => {
      current = over(dataDir);
      return current;
    },
    goDown: () => provider.stop(),
    cleanUp: async () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 }),
  };
}

t.test('dns-local', async (t) => {
  if (skipUnless(t, hasDig, 'there is no dig; install bind9-dnsutils')) return;
  for (const { name, run } of dnsProviderSuite(make)) await t.test(name, async (t) => run(t));
});

/** One that serves, with these sets in it, as the catch-all unless `options` name zones. */
async function serving(
  t: Test,
  sets: DnsRecordSet[] = [],
  options: Record<string, unknown> = { zones: [] },
): Promise<DnsLocal> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-dns-'));
  const provider = over(dataDir, options);
  await provider.start();
  t.teardown(async () => {
    await provider.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
  });
  const zone = await provider.zoneOf(sets[0]?.name ?? 'redis.startup.com');
  if (zone !== null)
    await provider.apply(
      zone,
      sets.map((set) => ({ kind: 'put', set, was: null })),
    );
  return provider;
}

const pool = (name: string, count: number): DnsRecordSet => ({
  name,
  type: 'A',
  ttl: 30,
  values: Array.from({ length: count }, (_, n) => `10.0.${n >> 8}.${n & 255}`),
});

t.test('what dig says', async (t) => {
  if (skipUnless(t, hasDig, 'there is no dig; install bind9-dnsutils')) return;
  const name = 'local-a.redis.startup.com';
  const text: DnsRecordSet = { name: `_cerebro.${name}`, type: 'TXT', ttl: 30, values: ['x'.repeat(300)] };
  const { port } = await serving(t, [pool(name, 2), text]);

  await t.test('an answer has authority, the TTL, and the name in the capitals that it was asked with', async (t) => {
    const { status, flags, answers } = await dig(port, ['LOCAL-A.Redis.Startup.COM', 'A']);
    t.equal(status, 'NOERROR');
    t.match(flags, /\baa\b/);
    t.notMatch(flags, /\bra\b/);
    t.same(answers.sort(), [
      'LOCAL-A.Redis.Startup.COM. 30 IN A 10.0.0.0',
      'LOCAL-A.Redis.Startup.COM. 30 IN A 10.0.0.1',
    ]);
  });
  await t.test(
    'a name that is not there, one that is above another, and another type: denied with the SOA',
    async (t) => {
      for (const [asked, type, wanted] of [
        ['1.local-a.redis.startup.com', 'A', 'NXDOMAIN'],
        ['redis.startup.com', 'A', 'NOERROR'],
        ['startup.com', 'TXT', 'NOERROR'],
        [name, 'TXT', 'NOERROR'],
        [name, 'AAAA', 'NOERROR'],
        [name, 'TYPE65', 'NOERROR'],
      ] as const) {
        const { status, answers, authority } = await dig(port, [asked, type]);
        t.equal(status, wanted, `${asked} ${type}`);
        t.same(answers, []);
        t.match(authority, [/^\. 5 IN SOA localhost\. hostmaster\.localhost\. \d+ \d+ \d+ \d+ 5$/]);
      }
    },
  );
  await t.test('a long text comes in pieces, ANY gives what there is, the root has its SOA and NS', async (t) => {
    t.match((await dig(port, [`_cerebro.${name}`, 'TXT'])).answers, [/"x{255}" "x{45}"/]);
    t.equal((await dig(port, [name, 'ANY'])).answers.length, 2);
    t.match((await dig(port, ['.', 'SOA'])).answers, [/IN SOA localhost\./]);
    t.match((await dig(port, ['.', 'NS'])).answers, [/IN NS localhost\./]);
  });
  await t.test(
    'what it does not do is refused: transfers, other classes, updates, two questions, newer EDNS',
    async (t) => {
      t.match((await dig(port, ['startup.com', 'AXFR'])).raw, /Transfer failed/);
      t.equal((await dig(port, [name, 'A', 'CH'])).status, 'REFUSED');
      t.equal((await dig(port, [name, 'A', '+opcode=notify'])).status, 'NOTIMP');
      t.match((await dig(port, [name, 'A', '+edns=1', '+noednsnegotiation'])).raw, /BADVERS/);
    },
  );
});

t.test('a large pool is cut for UDP, fitted to what was asked for, and whole over TCP', async (t) => {
  if (skipUnless(t, hasDig, 'there is no dig; install bind9-dnsutils')) return;
  const name = 'local-a.redis.startup.com';
  const { port } = await serving(t, [pool(name, 300)]);
  t.equal((await dig(port, [name, 'A'])).answers.length, 300, 'dig comes back over TCP by itself');
  const cut = await dig(port, [name, 'A', '+ignore', '+noedns']);
  t.match(cut.flags, /\btc\b/);
  t.same(cut.answers, []);
  const some = await serving(t, [pool(name, 20)]);
  t.match((await dig(some.port, [name, 'A', '+ignore', '+noedns'])).flags, /\btc\b/);
  t.equal((await dig(some.port, [name, 'A', '+ignore', '+bufsize=1232'])).answers.length, 20);
});

t.test('with zones of its own it refuses everything else, and has their SOA and NS', async (t) => {
  if (skipUnless(t, hasDig, 'there is no dig; install bind9-dnsutils')) return;
  const { port } = await serving(t, [pool(`web.${ZONE}`, 1)], {});
  t.equal((await dig(port, ['redis.startup.com', 'A'])).status, 'REFUSED');
  t.match((await dig(port, [ZONE, 'NS'])).answers, [new RegExp(`IN NS ns\\.${ZONE}\\.`)]);
  t.equal((await dig(port, [ZONE, 'A'])).status, 'NOERROR');
  t.match((await dig(port, [`no.${ZONE}`, 'A'])).authority, [new RegExp(`^${ZONE}\\. 5 IN SOA ns\\.${ZONE}\\.`)]);
});

t.test('whatever is sent to it, it goes on', async (t) => {
  const provider = await serving(t, [pool('local-a.redis.startup.com', 1)]);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  const answers: Buffer[] = [];
  socket.on('message', (message) => answers.push(message));
  const send = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => socket.send(bytes, provider.port, '127.0.0.1', () => resolve()));
  await send(Buffer.alloc(0));
  await send(Buffer.from('short'));
  await send(Buffer.alloc(12, 0xff)); // an answer, not a question
  const garbage = Buffer.from('1234010000010000000000000007', 'hex'); // a label that ends before it has begun
  await send(garbage);
  for (let n = 0; n < 200; n++) {
    const noise = Buffer.from(
      Array.from({ length: 12 + (n % 40) }, (_, i) => (n * 37 + i * 101 + ((n * i) % 7)) & 255),
    );
    noise[2] = (noise[2] ?? 0) & 0x7f;
    await send(noise);
  }
  await eventually(
    () => answers.some((answer) => answer.readUInt16BE(0) === 0x1234),
    'what cannot be read is answered',
  );
  t.equal(answers.find((answer) => answer.readUInt16BE(0) === 0x1234)?.[3], 1, 'with a format error');
  if (hasDig) t.equal((await dig(provider.port, ['local-a.redis.startup.com', 'A'])).answers.length, 1);
});

t.test('a port that is taken is said, stops nobody, and is used once it is free', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-dns-'));
  let again: (() => void) | null = null;
  const clock = {
    ...quickClock(),
    timer: (_ms: number, callback: () => void) => {
      again = callback;
      return { cancel: () => undefined };
    },
  };
  const provider = new DnsLocal({ clock, logger: silentLogger, dataDir }, config.parse({ port }));
  await provider.start();
  t.teardown(async () => {
    await provider.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
  });
  t.equal(provider.port, 0);
  await t.rejects(provider.apply('.', [{ kind: 'put', set: pool('a.test', 1), was: null }]), {
    code: 'unavailable',
    message: new RegExp(`port ${port} of 127\\.0\\.0\\.1 is taken by another program`),
  });
  t.same(await provider.list('a.test'), []);
  await new Promise<void>((resolve) => other.close(() => resolve()));
  (again as (() => void) | null)?.();
  await eventually(() => provider.port === port, 'it has the port');
  await provider.apply('.', [{ kind: 'put', set: pool('a.test', 1), was: null }]);
  t.equal((await provider.list('a.test')).length, 1);
});

t.test('a file that cannot be read is begun anew', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-dns-'));
  const first = over(dataDir);
  await first.start();
  await first.apply(ZONE, [{ kind: 'put', set: pool(`a.${ZONE}`, 1), was: null }]);
  await first.stop();
  const file = join(dataDir, 'dns-local', 'zones.json');
  t.ok(existsSync(file));
  writeFileSync(file, '{"serial":');
  const second = over(dataDir);
  await second.start();
  t.same(await second.list(ZONE), []);
  await second.stop();
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
});

t.test('its settings say what is wrong with them', async (t) => {
  for (const bad of [{ host: 'localhost' }, { port: 70_000 }, { zones: ['Startup.com'] }, { zone: 'x' }])
    t.notOk(config.safeParse(bad).success, JSON.stringify(bad));
});

function quickClock(): { now: () => number; monotonic: () => number } {
  return { now: () => Date.now(), monotonic: () => performance.now() };
}
