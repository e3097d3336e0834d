import { createServer, request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import { SystemClock } from '../core/engine/system-clock.ts';
import { EtcdStore } from '../plugins/store-etcd/etcd-store.ts';
import { rangeRequest, rangeResponse } from '../plugins/store-etcd/range-message.ts';
import { config } from '../plugins/store-etcd/schema.ts';
import { Link } from './consistency/link.ts';
import { EtcdServer, makeCertificates, skipWithoutEtcd, skipWithoutOpenssl } from './fakes/etcd-servers.ts';
import { freePort } from './fakes/free-port.ts';
import { silentLogger } from './fakes/silent-logger.ts';
import { eventually } from './suites/eventually.ts';

/** Of several pages. */
const KEYS = 6000;
const AT_ONCE = 1500;
const keys = Array.from({ length: KEYS }, (_, n) => `key/${String(n).padStart(5, '0')}`);

/** A store, and what it says of lists that could not be read by gRPC. */
async function open(t: Test, options: z.input<typeof config>): Promise<{ store: EtcdStore; gateway: string[] }> {
  const gateway: string[] = [];
  const debug = (facts: unknown, words: string): void => {
    if (words.includes('by the gateway')) gateway.push(JSON.stringify(facts));
  };
  const store = new EtcdStore(
    { clock: new SystemClock(), logger: { ...silentLogger, debug } },
    config.parse({ timeout: 30, ...options }),
  );
  t.teardown(() => store.stop());
  await store.start();
  return { store, gateway };
}

async function fill(store: EtcdStore): Promise<void> {
  for (let from = 0; from < KEYS; from += AT_ONCE)
    await store.commit({ write: keys.slice(from, from + AT_ONCE).map((put) => ({ put, value: { ü: put } })) });
}

async function hasAll(t: Test, store: EtcdStore): Promise<void> {
  const { entries, revision } = await store.list('key/');
  t.strictSame(
    entries.map(({ key }) => key),
    keys,
  );
  t.strictSame(entries.at(-1)?.value, { ü: keys.at(-1) });
  t.equal(entries.at(-1)?.revision, revision);
  t.ok((entries[0]?.revision ?? revision) < revision, 'each bears the revision of its own commit');
}

t.test('a list of several pages is one moment', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await EtcdServer.start();
  t.teardown(() => server.remove());
  const endpoints = [server.url];
  const { store, gateway } = await open(t, { endpoints });
  await fill(store);
  await hasAll(t, store);
  t.same(await store.list('none/').then(({ entries }) => entries), []);
  t.same(gateway, []);

  await t.test('also while others write', async (t) => {
    let going = true;
    let written = 0;
    const last = keys.at(-1) ?? '';
    const writer = (async () => {
      // One commit changes the first key and the last, so that they always agree.
      for (; going; written++)
        await store.commit({ write: ['key/00000', last].map((put) => ({ put, value: written })) });
    })();
    try {
      await eventually(() => written > 0, 'there are numbers');
      for (let n = 0; n < 5; n++) {
        const { entries } = await store.list('key/');
        t.type(entries[0]?.value, 'number');
        t.equal(entries[0]?.value, entries.at(-1)?.value);
        t.equal(entries.length, KEYS);
      }
    } finally {
      going = false;
      await writer;
    }
  });

  await t.test('from a member that is away it goes on at another', async (t) => {
    const { store } = await open(t, { endpoints: [server.url, 'http://127.0.0.1:1'] });
    t.equal((await store.list('key/')).entries.length, KEYS);
    const away = await open(t, { endpoints: ['http://127.0.0.1:1', server.url] });
    t.equal((await away.store.list('key/')).entries.length, KEYS);
  });

  await t.test('and from one that falls silent', async (t) => {
    const link = await Link.to(Number(new URL(server.url).port));
    t.teardown(() => link.close());
    const { store, gateway } = await open(t, { endpoints: [`http://127.0.0.1:${link.port}`, server.url], timeout: 3 });
    t.equal((await store.list('none/')).entries.length, 0);
    link.cut();
    t.equal((await store.list('none/')).entries.length, 0);
    t.match(gateway, [/in time/]);
  });

  await t.test('who is closed in the middle of one gives it up', async (t) => {
    const { store } = await open(t, { endpoints });
    const refused = t.rejects(store.list('key/'), { code: 'unavailable' });
    await store.stop();
    await refused;
  });
});

t.test('where only HTTP/1.1 gets through, lists come by the gateway', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await EtcdServer.start();
  t.teardown(() => server.remove());
  const port = await freePort();
  const proxy = createServer((asked, answer) => {
    const { method, headers, url = '' } = asked;
    const passed = request(`${server.url}${url}`, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  t.teardown(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const { store, gateway } = await open(t, { endpoints: [`http://127.0.0.1:${port}`] });
  await fill(store);
  await hasAll(t, store);
  t.equal(gateway.length, 1, 'which is said once for each list');
});

t.test('over TLS, and with a user, it is gRPC too', async (t) => {
  if (skipWithoutEtcd(t) || skipWithoutOpenssl(t)) return;
  const certified = await EtcdServer.make([], 'https');
  t.teardown(() => certified.remove());
  const file = (name: string): string => join(certified.folder, name);
  await makeCertificates(certified.folder);
  const flags = ['--cert-file', file('server.pem'), '--key-file', file('server.key')];
  const server = await EtcdServer.make([...flags, '--client-cert-auth', '--trusted-ca-file', file('ca.pem')], 'https');
  t.teardown(() => server.remove());
  await server.start();
  const tls = { ca_file: file('ca.pem'), cert_file: file('client.pem'), key_file: file('client.key') };
  const secured = await open(t, { endpoints: [server.url], tls });
  await fill(secured.store);
  await hasAll(t, secured.store);
  t.same(secured.gateway, []);

  const guarded = await EtcdServer.start();
  t.teardown(() => guarded.remove());
  await guarded.ask('/v3/auth/user/add', { name: 'root', password: 'root' });
  await guarded.ask('/v3/auth/user/grant', { user: 'root', role: 'root' });
  await guarded.ask('/v3/auth/enable', {});
  process.env.CEREBRO_TEST_ETCD_ROOT = 'root';
  const known = await open(t, { endpoints: [guarded.url], user: 'root', password_env: 'CEREBRO_TEST_ETCD_ROOT' });
  await known.store.commit({ write: [{ put: 'key/1', value: 1 }] });
  t.equal((await known.store.list('key/')).entries.length, 1);
  t.same(known.gateway, []);
});

t.test('the messages: what is not known is passed over, and what is cut off is found', async (t) => {
  const request = rangeRequest({ key: Buffer.from('a'), rangeEnd: Buffer.from('b'), limit: 2500, revision: 2 ** 40 });
  t.equal(request.toString('hex'), '0a0161' + '120162' + '18c413' + '20808080808020');
  const known = '0a016b' + '1001' + '1805' + '2001' + '2a023432' + '3007';
  const kv = Buffer.from(`${known}79${'00'.repeat(8)}75${'00'.repeat(4)}`, 'hex');
  const header = Buffer.from('0a06080110021809', 'hex');
  const answer = Buffer.concat([header, Buffer.of(0x12, kv.length), kv, Buffer.from('18012001', 'hex')]);
  t.strictSame(rangeResponse(answer), {
    revision: 9,
    found: [{ key: Buffer.from('k'), value: Buffer.from('42'), modRevision: 5 }],
    more: true,
  });
  const cut = Array.from({ length: answer.length }, (_, length) => answer.subarray(0, length));
  const refused = cut.filter((bytes) => {
    try {
      rangeResponse(bytes);
      return false;
    } catch (error) {
      t.ok(error instanceof RangeError, String(error));
      return true;
    }
  });
  t.ok(refused.length > kv.length, 'whatever ends within a field');
  t.throws(() => rangeResponse(Buffer.of(0x0b)), RangeError, 'groups are of another age');
});
