import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import type { Change } from '../core/contracts/state-store.ts';
import { SystemClock } from '../core/engine/system-clock.ts';
import { EtcdStore } from '../plugins/store-etcd/etcd-store.ts';
import { config } from '../plugins/store-etcd/schema.ts';
import { EtcdServer, makeCertificates, skipWithoutEtcd, skipWithoutOpenssl } from './fakes/etcd-servers.ts';
import { silentLogger } from './fakes/silent-logger.ts';
import { eventually } from './suites/eventually.ts';
import { stateStoreSuite } from './suites/index.ts';

const services = { clock: new SystemClock(), logger: silentLogger };
/** `lease`: shorter than the configuration allows. */
const storeWith = ({ lease = 10, ...options }: z.input<typeof config>): EtcdStore =>
  new EtcdStore(services, { ...config.parse(options), lease });

async function serverOf(t: Test, flags?: string[]): Promise<EtcdServer> {
  const server = await EtcdServer.start(flags);
  t.teardown(() => server.remove());
  return server;
}

t.test('store-etcd', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await serverOf(t);
  let n = 0;
  const open = async (t: Test, options: z.input<typeof config> = {}): Promise<EtcdStore> => {
    const store = storeWith({ endpoints: [server.url], prefix: `test-${n++}/`, ...options });
    t.teardown(() => store.stop());
    await store.start();
    return store;
  };
  const make = async (): Promise<EtcdStore> => storeWith({ endpoints: [server.url], prefix: `suite-${n++}/` });
  for (const { name, run } of stateStoreSuite(make)) await t.test(name, async (t) => run(t));

  await t.test('several endpoints: one that is away is passed over', async (t) => {
    const store = await open(t, { endpoints: ['http://127.0.0.1:1', server.url] });
    t.ok((await store.commit({ write: [{ put: 'a', value: 1 }] })).ok);
    t.equal((await store.get('a'))?.value, 1);
  });

  await t.test('many records are one commit, with all their conditions', async (t) => {
    const store = await open(t);
    const keys = Array.from({ length: 1500 }, (_, i) => `record/${String(i).padStart(5, '0')}`);
    const heard: Change[] = [];
    store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
    const fresh = keys.map((key) => ({ key, revision: 0 }));
    const write = keys.map((put) => ({ put, value: put }));
    const first = await store.commit({ when: fresh, write });
    t.ok(first.ok);
    await eventually(() => heard.length === keys.length, 'the whole commit is heard');
    t.equal(new Set(heard.map(({ revision }) => revision)).size, 1);
    const { entries } = await store.list('record/');
    t.same(
      entries.map(({ key }) => key),
      keys,
      'a list of several pages',
    );
    const wrong = await store.commit({ when: [...fresh.slice(0, 150)], write: [{ put: 'other', value: 1 }] });
    t.same(wrong, { ok: false, failed: keys.slice(0, 150) });
    await t.rejects(store.commit({ write: Array.from({ length: 4000 }, (_, i) => ({ put: `x${i}`, value: 1 })) }), {
      code: 'too_large',
    });
  });

  await t.test('two cluster sitters commit at once, and neither loses a change', async (t) => {
    const prefix = `both-${n++}/`;
    const both = [await open(t, { prefix }), await open(t, { prefix })];
    const count = async (store: EtcdStore): Promise<void> => {
      for (let done = 0; done < 10; ) {
        const entry = await store.get('count');
        const next = Number(entry?.value ?? 0) + 1;
        const when = [{ key: 'count', revision: entry?.revision ?? 0 }];
        if ((await store.commit({ when, write: [{ put: 'count', value: next }] })).ok) done++;
      }
    };
    await Promise.all(both.map(count));
    t.equal((await both[0]?.get('count'))?.value, 20);
  });

  await t.test('a delete of what is not there is told of, as in the other stores', async (t) => {
    const store = await open(t);
    const heard: Change[] = [];
    store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
    const result = await store.commit({ write: [{ delete: 'nothing' }] });
    await eventually(() => heard.length > 0, 'the commit is heard');
    t.same(heard, [{ key: 'nothing', value: null, revision: result.ok ? result.revision : -1 }]);
  });

  await t.test('one leads, and the next only after it; who was succeeded writes nothing', async (t) => {
    const prefix = `lead-${n++}/`;
    const first = await open(t, { prefix, lease: 2 });
    const second = await open(t, { prefix, lease: 2 });
    const lease = await first.lead('first', AbortSignal.timeout(60_000));
    t.ok(lease.epoch >= Math.floor(Date.now() / 1000) - 3600, 'never less than the seconds since 1970');
    await t.rejects(second.lead('second', AbortSignal.timeout(1500)), { message: /first has it/ });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    t.ok(lease.remainingMs() > 0, 'it is kept alive');
    t.ok((await first.commit({ write: [{ put: 'a', value: 1 }] })).ok);
    // What an operator can do, and what the end of a lease does.
    await server.ask('/v3/kv/deleterange', { key: Buffer.from(`${prefix}lead`).toString('base64') });
    const next = await second.lead('second', AbortSignal.timeout(60_000));
    t.ok(next.epoch > lease.epoch);
    await t.rejects(first.commit({ write: [{ put: 'a', value: 2 }] }), { code: 'conflict' });
    t.equal(lease.remainingMs(), 0);
    t.equal((await second.get('a'))?.value, 1);
    await next.release();
  });

  await t.test('a watch that was compacted says so', async (t) => {
    const store = await open(t);
    const { revision } = await store.list('');
    for (const value of [1, 2, 3]) await store.commit({ write: [{ put: 'a', value }] });
    await server.compact();
    const errors: Error[] = [];
    store.watch(
      '',
      revision,
      () => t.fail('nothing can be delivered'),
      (error) => errors.push(error),
    );
    await eventually(() => errors.length > 0, 'the watch ends');
    t.match(errors[0], { code: 'conflict', message: /list again/ });
  });

  await t.test('a full etcd refuses changes and keeps the lead and what was there', async (t) => {
    const store = await open(t);
    await store.commit({ write: [{ put: 'a', value: 1 }] });
    const lease = await store.lead('one', AbortSignal.timeout(60_000));
    await server.alarm('ACTIVATE');
    await t.rejects(store.commit({ write: [{ put: 'a', value: 2 }] }), { code: 'no_space', message: /disarm/ });
    t.equal((await store.get('a'))?.value, 1, 'reads go on');
    t.ok(lease.remainingMs() > 0);
    await server.alarm('DEACTIVATE');
    t.ok((await store.commit({ write: [{ put: 'a', value: 2 }] })).ok);
    await lease.release();
  });
});

t.test('etcd killed and back: nothing that was acknowledged is lost, and a watch hears each change once', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await serverOf(t);
  const store = storeWith({ endpoints: [server.url], lease: 2, timeout: 3 });
  await store.start();
  t.teardown(() => store.stop());
  const heard: Change[] = [];
  store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
  const lease = await store.lead('one', AbortSignal.timeout(60_000));
  for (const n of [0, 1, 2]) await store.commit({ write: [{ put: `k/${n}`, value: n }] });
  await eventually(() => heard.length === 3, 'the first changes are heard');
  await server.kill();
  await t.rejects(store.commit({ write: [{ put: 'k/lost', value: 0 }] }), { code: 'unavailable' });
  await t.rejects(store.get('k/0'), { code: 'unavailable', message: /etcd does not answer/ });
  await eventually(() => lease.remainingMs() <= 0, 'the lead is over by our own count');
  await server.start();
  t.equal(lease.remainingMs(), 0, 'and stays over, though etcd may remember the lease');
  await t.rejects(store.commit({ write: [{ put: 'k/late', value: 0 }] }), { code: 'conflict' });
  const again = await store.lead('one', AbortSignal.timeout(60_000));
  t.ok(again.epoch > lease.epoch);
  for (const n of [3, 4, 5]) await store.commit({ write: [{ put: `k/${n}`, value: n }] });
  await eventually(() => heard.length >= 6, 'the watch goes on');
  t.same(
    heard.map(({ key }) => key),
    [0, 1, 2, 3, 4, 5].map((n) => `k/${n}`),
  );
  t.equal((await store.list('k/')).entries.length, 6);
});

t.test('three members: whichever of them is away, commits, the watch and the lead go on', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const members = await EtcdServer.startCluster(3);
  t.teardown(() => Promise.all(members.map((member) => member.remove())));
  const store = storeWith({ endpoints: members.map(({ url }) => url), lease: 30 });
  await store.start();
  t.teardown(() => store.stop());
  const heard: Change[] = [];
  store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
  const lease = await store.lead('one', AbortSignal.timeout(60_000));
  let n = 0;
  for (const member of members) {
    await member.kill();
    // In an election nobody answers for a while; whether it was recorded, the condition says.
    await eventually(async () => {
      const result = await store
        .commit({ when: [{ key: `k/${n}`, revision: 0 }], write: [{ put: `k/${n}`, value: n }] })
        .then(
          (result) => result.ok,
          () => false,
        );
      return result || (await store.get(`k/${n}`).catch(() => undefined)) !== undefined;
    }, 'a commit without one of the members');
    n += 1;
    await eventually(() => heard.length === n, 'it is heard');
    await member.start();
  }
  t.same(
    heard.map(({ key }) => key),
    ['k/0', 'k/1', 'k/2'],
  );
  t.ok(lease.remainingMs() > 0);
  await Promise.all([members[0]?.kill(), members[1]?.kill()]);
  await t.rejects(store.commit({ write: [{ put: 'k/none', value: 0 }] }), { code: 'unavailable' }, 'without a quorum');
  await Promise.all([members[0]?.start(), members[1]?.start()]);
  await eventually(async () => (await store.list('k/')).entries.length >= 3, 'with a quorum it answers again');
  await lease.release();
});

t.test('with certificates of both sides', async (t) => {
  if (skipWithoutEtcd(t) || skipWithoutOpenssl(t)) return;
  const server = await EtcdServer.make([], 'https');
  t.teardown(() => server.remove());
  const file = (name: string): string => join(server.folder, name);
  await makeCertificates(server.folder);
  const secured = await EtcdServer.make(
    [
      '--cert-file',
      file('server.pem'),
      '--key-file',
      file('server.key'),
      '--client-cert-auth',
      '--trusted-ca-file',
    ].concat(file('ca.pem')),
    'https',
  );
  t.teardown(() => secured.remove());
  await secured.start();
  const endpoints = [secured.url];
  const tls = { ca_file: file('ca.pem'), cert_file: file('client.pem'), key_file: file('client.key') };
  const store = storeWith({ endpoints, tls });
  t.teardown(() => store.stop());
  await store.start();
  const heard: Change[] = [];
  store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
  t.ok((await store.commit({ write: [{ put: 'a', value: 1 }] })).ok);
  await eventually(() => heard.length === 1, 'the watch is over TLS too');
  const without = storeWith({ endpoints, tls: { ca_file: file('ca.pem') }, timeout: 2 });
  await t.rejects(without.start(), { code: 'unavailable' }, 'without a certificate of our own');
  await without.stop();
  const unknown = storeWith({ endpoints, timeout: 2 });
  await t.rejects(
    unknown.start(),
    { code: 'unavailable', message: /certificate|issuer/ },
    'an authority unknown to us',
  );
  await unknown.stop();
  const missing = storeWith({ endpoints, tls: { ca_file: file('none.pem') } });
  await t.rejects(missing.start(), { code: 'invalid', message: /tls\.ca_file: .*none\.pem/ });
  await missing.stop();
});

t.test('with user and password', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const server = await serverOf(t, ['--auth-token-ttl', '1']);
  const password = join(server.folder, 'password');
  writeFileSync(password, 'correct horse\n', { mode: 0o600 });
  await server.ask('/v3/auth/user/add', { name: 'root', password: 'root' });
  await server.ask('/v3/auth/user/grant', { user: 'root', role: 'root' });
  await server.ask('/v3/auth/user/add', { name: 'cerebro', password: 'correct horse' });
  await server.ask('/v3/auth/role/add', { name: 'cerebro' });
  const [key, rangeEnd] = ['cerebro/', 'cerebro0'].map((text) => Buffer.from(text).toString('base64'));
  await server.ask('/v3/auth/role/grant', {
    name: 'cerebro',
    perm: { permType: 'READWRITE', key, range_end: rangeEnd },
  });
  await server.ask('/v3/auth/user/grant', { user: 'cerebro', role: 'cerebro' });
  await server.ask('/v3/auth/enable', {});
  const endpoints = [server.url];
  const store = storeWith({ endpoints, user: 'cerebro', password_file: password });
  t.teardown(() => store.stop());
  await store.start();
  const heard: Change[] = [];
  store.watch('', (await store.list('')).revision, (changes) => heard.push(...changes), t.fail);
  const lease = await store.lead('one', AbortSignal.timeout(60_000));
  t.ok((await store.commit({ write: [{ put: 'a', value: 1 }] })).ok);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  t.ok((await store.commit({ write: [{ put: 'a', value: 2 }] })).ok, 'a token that is over is renewed');
  await eventually(() => heard.length === 2, 'and the watch goes on with it');
  t.ok(lease.remainingMs() > 0);
  await lease.release();

  writeFileSync(password, 'battery staple\n');
  const wrong = storeWith({ endpoints, user: 'cerebro', password_file: password });
  const refusal = await wrong.start().then(
    () => null,
    (error: Error) => error,
  );
  t.match(refusal, { code: 'unauthorized', message: /user and password/ });
  t.notMatch(refusal?.message, /battery/);
  await wrong.stop();
  const elsewhere = storeWith({
    endpoints,
    prefix: 'other/',
    user: 'cerebro',
    password_env: 'CEREBRO_TEST_ETCD_PASSWORD',
  });
  process.env.CEREBRO_TEST_ETCD_PASSWORD = 'correct horse';
  await t.rejects(elsewhere.start(), { code: 'unauthorized', message: /role/ }, 'a role without our prefix');
  await elsewhere.stop();
});

t.test('what the configuration refuses', async (t) => {
  const refused = (options: object): string | undefined => config.safeParse(options).error?.issues[0]?.message;
  t.match(refused({ endpoints: ['http://etcd.example:2379'] }), /https/);
  t.match(refused({ endpoints: ['https://a:b@etcd.example:2379'] }), /keys of their own/);
  t.match(refused({ user: 'cerebro' }), /password_file/);
  t.match(refused({ password_env: 'X' }), /without a user/);
  t.match(refused({ endpoints: ['https://e:1'], tls: { cert_file: 'a' } }), /key_file/);
  t.match(refused({ prefix: 'cerebro' }), /slash/);
});
