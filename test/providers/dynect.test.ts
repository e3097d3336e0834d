import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DynectProvider } from '../../providers/dynect/dynect-provider.ts';
import { config } from '../../providers/dynect/schema.ts';
import { CREDENTIALS, DynectStandIn } from '../fakes/dynect-stand-in.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put, refusal, remove } from '../suites/dns-look.ts';
import { eventually } from '../suites/eventually.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';

const zone = 'startup.co.test';
const folder = mkdtempSync(join(tmpdir(), 'cerebro-dynect-'));
const passwordFile = join(folder, 'password');
writeFileSync(passwordFile, `${CREDENTIALS.password}\n`, { mode: 0o600 });
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

function over(dyn: DynectStandIn, options: object = {}): DynectProvider {
  const { customer_name, user_name } = CREDENTIALS;
  const all = { customer_name, user_name, password_file: passwordFile, url: dyn.url, deadline: 3600, ...options };
  // A minute is over in 0.3 s; the deadline of a batch leaves slow hosts their time.
  return new DynectProvider({ clock: new QuickClock(200), logger: silentLogger }, config.parse(all));
}

async function make(): Promise<DnsUnderTest> {
  const dyn = new DynectStandIn([zone, `eu.${zone}`]);
  await dyn.start();
  return {
    provider: over(dyn),
    zone,
    innerZone: `eu.${zone}`,
    look: async (name, type) => {
      const found = dyn.zones.get(zone)?.served.filter((record) => record.fqdn === name && record.record_type === type);
      if (!found || found.length === 0) return null;
      return {
        ttl: found[0]?.ttl ?? -1,
        values: found.map(({ rdata }) => String(type === 'A' ? rdata.address : rdata.txtdata)),
      };
    },
    foreign: async (name, type, values) =>
      dyn.zones.get(zone)?.foreign(
        name,
        type,
        values.map((value) => (type === 'A' ? { address: value } : { txtdata: value })),
      ),
    atomic: true,
    again: () => over(dyn),
    goDown: () => dyn.stop(),
    cleanUp: async () => {
      await dyn.stop();
      if (dyn.violations.length > 0) throw new Error(dyn.violations.join('; '));
    },
  };
}

t.test('dns-dynect', async (t) => {
  for (const { name, run } of dnsProviderSuite(make)) await t.test(name, async (t) => run(t));
});

/** A stand-in and a provider that is started, both ended with the test. */
async function pair(t: Test, options: object = {}): Promise<{ dyn: DynectStandIn; provider: DynectProvider }> {
  const dyn = new DynectStandIn([zone, `eu.${zone}`]);
  await dyn.start();
  const provider = over(dyn, options);
  await provider.start();
  t.teardown(async () => {
    await provider.stop();
    await dyn.stop();
    if (dyn.violations.length > 0) throw new Error(dyn.violations.join('; '));
  });
  return { dyn, provider };
}

const served = (dyn: DynectStandIn): string[] =>
  dyn.zones
    .get(zone)
    ?.served.map((record) => `${record.fqdn} ${Object.values(record.rdata)}`)
    .sort() ?? [];
const a = (name: string, ...values: string[]) => put(`${name}.${zone}`, 'A', values);

t.test('nothing is served before it is published, and one publication serves a batch', async (t) => {
  const { dyn, provider } = await pair(t);
  await provider.apply(zone, [
    a('0.redis', '192.0.2.1'),
    a('1.redis', '192.0.2.2'),
    a('redis', '192.0.2.1', '192.0.2.2'),
  ]);
  t.equal(served(dyn).length, 4);
  t.equal(dyn.requests.filter((line) => line === `PUT /REST/Zone/${zone}/`).length, 1);
  t.equal(dyn.logins, 1);
  await provider.stop();
  t.equal(dyn.tokens.size, 0);
});

t.test('a change that takes long is asked for as a job, and not made twice', async (t) => {
  const { dyn, provider } = await pair(t);
  for (const looks of [1, 2, 4]) {
    dyn.slow = (line) => (/^(POST|PUT|DELETE) .*(Record|Zone)\//.test(line) ? looks : 0);
    await provider.apply(zone, [a(`slow-${looks}`, '192.0.2.1', '192.0.2.2')]);
  }
  t.equal(served(dyn).length, 6);
  t.equal(dyn.requests.filter((line) => line.startsWith('POST /REST/ARecord')).length, 6);
});

t.test('what became of a job stands in its own answer: one that found the zone busy is begun again', async (t) => {
  const { dyn, provider } = await pair(t);
  dyn.slow = (line) => (line.startsWith('POST /REST/ARecord') ? 2 : 0);
  dyn.blockNext = 1;
  await provider.apply(zone, [a('www', '192.0.2.1')]);
  t.same(served(dyn), [`www.${zone} 192.0.2.1`]);
  t.equal(dyn.requests.filter((line) => line.startsWith('POST /REST/ARecord')).length, 2);
});

t.test('a zone that is busy, and an account over its rate, are waited for', async (t) => {
  const { dyn, provider } = await pair(t);
  dyn.blockNext = 3;
  dyn.taskLooks = 4;
  await provider.apply(zone, [a('busy', '192.0.2.1')]);
  dyn.limitNext = 2;
  await provider.apply(zone, [a('limited', '192.0.2.1')]);
  t.equal(served(dyn).length, 2);
});

t.test(
  'a zone that stays busy is unavailable, and what the batch had begun is not published by the next one',
  async (t) => {
    const { dyn, provider } = await pair(t, { deadline: 300 });
    dyn.blockNext = 1000;
    const { code, message } = await refusal(provider.apply(zone, [a('never', '192.0.2.1')]));
    t.equal(code, 'unavailable');
    t.match(message, /not done within 300 s: .*blocked by current task/);
    dyn.blockNext = 0;
    // On a slow host its deadline may be over before it began.
    const next = (): Promise<boolean> =>
      provider.apply(zone, [a('next', '192.0.2.1')]).then(
        () => true,
        () => false,
      );
    await eventually(next, 'the next batch goes in');
    t.same(served(dyn), [`next.${zone} 192.0.2.1`]);
  },
);

t.test('a session that ends in the middle of a batch takes its changes with it; the batch begins again', async (t) => {
  const { dyn, provider } = await pair(t);
  let posts = 0;
  dyn.slow = (line) => {
    if (line.startsWith('POST /REST/ARecord') && ++posts === 2) dyn.expireSessions();
    return 0;
  };
  await provider.apply(zone, [a('x', '192.0.2.1'), a('y', '192.0.2.2'), a('z', '192.0.2.3')]);
  t.equal(served(dyn).length, 3);
  t.equal(dyn.logins, 2);
  dyn.expireSessions();
  t.equal((await provider.list(zone)).length, 3);
  t.equal(dyn.logins, 3);
});

t.test('a publication that fails is unavailable', async (t) => {
  const { dyn, provider } = await pair(t);
  dyn.taskEnd = 'failed';
  const { code, message } = await refusal(provider.apply(zone, [a('x', '192.0.2.1')]));
  t.equal(code, 'unavailable');
  t.match(message, /task \d+ is failed/);
});

t.test('a CNAME in the way, and a zone that is not there', async (t) => {
  const { dyn, provider } = await pair(t);
  dyn.zones.get(zone)?.foreign(`www.${zone}`, 'CNAME', [{ cname: 'elsewhere.test.' }]);
  const { code, message } = await refusal(provider.apply(zone, [a('www', '192.0.2.1')]));
  t.equal(code, 'conflict');
  t.match(message, /www\..*: a CNAME stands there/);
  await provider.apply(zone, [remove(`www.${zone}`, 'A', ['192.0.2.1'])]);
  t.equal((await refusal(provider.apply('not.there', [put('a.not.there', 'A', ['192.0.2.1'])]))).code, 'invalid');
});

t.test('a password that is refused is not tried again and again; a new one is, at once', async (t) => {
  const wrong = join(folder, 'wrong');
  writeFileSync(wrong, 'hunter2', { mode: 0o600 });
  const { dyn, provider } = await pair(t, { password_file: wrong });
  for (let n = 0; n < 3; n++) {
    const { code, message } = await refusal(provider.apply(zone, [a('x', '192.0.2.1')]));
    t.equal(code, 'forbidden');
    t.match(message, /user "cerebro"/);
    t.notMatch(message, /hunter2/);
  }
  t.equal(dyn.logins, 1);
  writeFileSync(wrong, CREDENTIALS.password);
  await provider.apply(zone, [a('x', '192.0.2.1')]);
  t.equal(dyn.logins, 2);
});

t.test('a password that is not there, and a service that does not answer', async (t) => {
  const { provider } = await pair(t, { password_file: join(folder, 'missing') });
  t.match((await refusal(provider.zoneOf(zone))).message, /cannot be read: ENOENT/);
  const { dyn, provider: other } = await pair(t, { password_file: undefined, password_env: 'CEREBRO_TEST_DYN' });
  t.match((await refusal(other.zoneOf(zone))).message, /environment variable CEREBRO_TEST_DYN/);
  process.env.CEREBRO_TEST_DYN = CREDENTIALS.password;
  t.teardown(() => delete process.env.CEREBRO_TEST_DYN);
  t.equal(await other.zoneOf(`a.${zone}`), zone);
  await dyn.stop();
  const { code, message } = await refusal(other.list(zone));
  t.equal(code, 'unavailable');
  t.notMatch(message, new RegExp(CREDENTIALS.password));
});

t.test('the configuration refuses to send the password in the clear', async (t) => {
  const base = { customer_name: 'c', user_name: 'u', password_file: 'p' };
  t.ok(config.safeParse(base).success);
  t.notOk(config.safeParse({ ...base, url: 'http://api.dynect.net/REST/' }).success);
  t.notOk(config.safeParse({ ...base, url: 'https://api.dynect.net/' }).success);
  t.notOk(config.safeParse({ ...base, password_env: 'P' }).success);
  t.notOk(config.safeParse({ ...base, password: 'hunter2' }).success);
});
