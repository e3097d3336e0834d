import t, { type Test } from 'tap';
import { unquoteText } from '../../providers/route53/record-text.ts';
import { Route53Provider } from '../../providers/route53/route53-provider.ts';
import { config } from '../../providers/route53/schema.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { ACCESS_KEY, Route53StandIn } from '../fakes/route53-stand-in.ts';
import { HostedZone, plain } from '../fakes/route53-zone.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put, refusal, remove } from '../suites/dns-look.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';

const zone = 'startup.co.test';

/** What the SDK finds its way by. */
function environment(url: string, accessKey = ACCESS_KEY): void {
  process.env.AWS_ENDPOINT_URL_ROUTE_53 = url;
  process.env.AWS_ACCESS_KEY_ID = accessKey;
  process.env.AWS_SECRET_ACCESS_KEY = 'the secret of the stand-in';
  process.env.AWS_EC2_METADATA_DISABLED = 'true';
  for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_ENDPOINT_URL'])
    delete process.env[name];
}

function provider(options: object = {}): Route53Provider {
  // A minute is over in 0.3 s; the deadlines leave slow hosts their time.
  const all = config.parse({ sync_deadline: 3600, ...options });
  return new Route53Provider({ clock: new QuickClock(200), logger: silentLogger }, all);
}

const zones = (): HostedZone[] => [
  new HostedZone('Z0OTHER', 'other.test'),
  new HostedZone('Z1STARTUP', zone),
  new HostedZone('Z2EU', `eu.${zone}`),
  new HostedZone('Z3INSIDE', `inside.${zone}`, true),
];

async function make(): Promise<DnsUnderTest> {
  const aws = new Route53StandIn(zones());
  await aws.start();
  environment(aws.url);
  const hosted = aws.zones[1];
  return {
    provider: provider(),
    zone,
    innerZone: `eu.${zone}`,
    look: async (name, type) => {
      const set = hosted?.sets.find((one) => one.name === `${name}.` && one.type === type);
      if (!set) return null;
      return { ttl: set.ttl ?? -1, values: set.values.map((value) => (type === 'A' ? value : unquoteText(value))) };
    },
    foreign: async (name, type, values) =>
      hosted?.foreign(
        plain(
          `${name}.`,
          type,
          300,
          values.map((value) => (type === 'A' ? value : `"${value}"`)),
        ),
      ),
    atomic: true,
    again: () => provider(),
    goDown: () => aws.stop(),
    cleanUp: () => aws.stop(),
  };
}

t.test('dns-route53', async (t) => {
  for (const { name, run } of dnsProviderSuite(make)) await t.test(name, async (t) => run(t));
});

async function pair(
  t: Test,
  options: object = {},
): Promise<{ aws: Route53StandIn; made: Route53Provider; hosted: HostedZone }> {
  const hosted = new HostedZone('Z1STARTUP', zone);
  const aws = new Route53StandIn([...zones().filter((one) => one.id !== hosted.id), hosted]);
  await aws.start();
  environment(aws.url);
  const made = provider(options);
  t.teardown(async () => {
    await made.stop();
    await aws.stop();
  });
  await made.start();
  return { aws, made, hosted };
}

const a = (name: string, values: string[], was: string[] | null = null) => put(`${name}.${zone}`, 'A', values, was);
const changesOf = (aws: Route53StandIn): number => aws.requests.filter((line) => line.startsWith('POST')).length;

t.test('a batch is one call, and done when all servers have it', async (t) => {
  const { aws, made, hosted } = await pair(t);
  aws.syncLooks = 4;
  await made.apply(zone, [
    a('0.redis', ['192.0.2.1']),
    a('1.redis', ['192.0.2.2']),
    a('redis', ['192.0.2.1', '192.0.2.2']),
  ]);
  t.equal(changesOf(aws), 1);
  t.equal(aws.requests.filter((line) => line.includes('/change/')).length, 4);
  t.equal(hosted.sets.length, 5);
  await made.apply(zone, [a('redis', ['192.0.2.1', '192.0.2.2'])]);
  t.equal(changesOf(aws), 1);
});

t.test('a change that is not everywhere in time is unavailable, and stopping does not wait for it', async (t) => {
  const { aws, made } = await pair(t, { sync_deadline: 30 });
  aws.syncLooks = 1000;
  const { code, message } = await refusal(made.apply(zone, [a('x', ['192.0.2.1'])]));
  t.equal(code, 'unavailable');
  t.match(message, /not all of its servers/);
  await made.apply(zone, [a('x', ['192.0.2.1'])]);

  const { aws: other, made: patient } = await pair(t);
  other.syncLooks = 1_000_000;
  const call = refusal(patient.apply(zone, [a('x', ['192.0.2.1'])]));
  while (changesOf(other) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await patient.stop();
  t.equal((await call).code, 'unavailable');
});

t.test('large batches are split where a call would be too large, and pages are turned', async (t) => {
  const { aws, made, hosted } = await pair(t);
  aws.pageSize = 3;
  const values = (net: number): string[] => Array.from({ length: 400 }, (_, n) => `10.${net}.${n >> 8}.${n & 255}`);
  const names = ['a', 'b', 'c', 'd'];
  await made.apply(
    zone,
    names.map((name, n) => a(`${name}.pool`, values(n))),
  );
  t.equal(changesOf(aws), 2);
  await made.apply(
    zone,
    names.map((name, n) => a(`${name}.pool`, values(n + 10), values(n))),
  );
  t.equal(changesOf(aws), 6);
  t.equal(hosted.sets.filter((set) => set.type === 'A').length, 4);
  t.equal((await made.list(`pool.${zone}`)).length, 4);
  t.equal(await made.zoneOf(`x.${zone}`), zone);
});

t.test('neighbours in the order of names are not taken for what is below', async (t) => {
  const { aws, made, hosted } = await pair(t);
  aws.pageSize = 1;
  const names = ['redis-a', 'redis', 'x.redis', '*.redis', 'redis-b.x', 'redisx', '0.a.redis'];
  for (const name of names) hosted.foreign(plain(`${name}.${zone}.`, 'A', 60, ['192.0.2.1']));
  t.same((await made.list(`redis.${zone}`)).map(({ name }) => name).sort(), [
    `*.redis.${zone}`,
    `0.a.redis.${zone}`,
    `redis.${zone}`,
    `x.redis.${zone}`,
  ]);
});

t.test('somebody who is faster wins, and is not overwritten', async (t) => {
  const { aws, made, hosted } = await pair(t);
  await made.apply(zone, [a('x', ['192.0.2.1'])]);
  aws.beforeChange = () => hosted.foreign(plain(`x.${zone}.`, 'A', 300, ['203.0.113.9']));
  const { code } = await refusal(made.apply(zone, [a('x', ['192.0.2.2'], ['192.0.2.1'])]));
  t.equal(code, 'conflict');
  t.same(hosted.sets.find((set) => set.name === `x.${zone}.`)?.values, ['203.0.113.9']);
  // One who changes nothing but the TTL does not get in the way.
  aws.beforeChange = () => undefined;
  hosted.foreign(plain(`y.${zone}.`, 'A', 300, ['192.0.2.1']));
  let ttl = 300;
  aws.beforeChange = () => {
    if (ttl === 300) hosted.foreign(plain(`y.${zone}.`, 'A', ++ttl, ['192.0.2.1']));
  };
  await made.apply(zone, [a('y', ['192.0.2.2'], ['192.0.2.1'])]);
  t.same(hosted.sets.find((set) => set.name === `y.${zone}.`)?.values, ['192.0.2.2']);
});

t.test('aliases, weighted sets and CNAMEs are somebody else’s', async (t) => {
  const { made, hosted } = await pair(t);
  hosted.foreign({ ...plain(`alias.${zone}.`, 'A', 0, []), alias: 'lb.invalid.', ttl: null });
  for (const identifier of ['one', 'two'])
    hosted.foreign({ ...plain(`weighted.${zone}.`, 'A', 60, ['192.0.2.7']), identifier });
  hosted.foreign(plain(`cname.${zone}.`, 'CNAME', 60, ['elsewhere.invalid.']));
  for (const name of ['alias', 'weighted', 'cname']) {
    const { code, message } = await refusal(made.apply(zone, [a(name, ['192.0.2.1'])]));
    t.equal(code, 'conflict');
    t.match(message, `${name}.${zone}/A`);
  }
  t.equal((await refusal(made.apply(zone, [remove(`weighted.${zone}`, 'A', ['192.0.2.7'])]))).code, 'conflict');
  await made.apply(zone, [remove(`cname.${zone}`, 'A', ['192.0.2.1'])]);
});

t.test('texts of any length and script come back', async (t) => {
  const { made } = await pair(t);
  const texts = ['x'.repeat(700), 'Grüße, 世界', 'tab\there', '<&">', ''];
  await made.apply(zone, [put(`t.${zone}`, 'TXT', texts)]);
  t.same((await made.list(`t.${zone}`))[0]?.values, texts);
});

t.test(
  'of two hosted zones of one name, the settings name one; private ones are left alone unless named',
  async (t) => {
    const { aws, made } = await pair(t);
    t.equal(await made.zoneOf(`x.inside.${zone}`), zone);
    aws.zones.push(new HostedZone('Z9TWIN', zone));
    const unsure = provider();
    t.teardown(() => unsure.stop());
    await unsure.start();
    const { code, message } = await refusal(unsure.zoneOf(`x.${zone}`));
    t.equal(code, 'invalid');
    t.match(message, /Z1STARTUP.*Z9TWIN.*hosted_zones/);
    const sure = provider({ hosted_zones: ['Z9TWIN', 'Z3INSIDE'] });
    t.teardown(() => sure.stop());
    await sure.start();
    t.equal(await sure.zoneOf(`x.inside.${zone}`), `inside.${zone}`);
    await sure.apply(zone, [a('x', ['192.0.2.1'])]);
    t.equal(aws.zones.find(({ id }) => id === 'Z9TWIN')?.sets.length, 3);
  },
);

t.test('what Amazon refuses is said in a sentence', async (t) => {
  const { aws, made } = await pair(t);
  const change = [a('x', ['192.0.2.1'])];
  aws.faults.push({ code: 'Throttling', message: 'Rate exceeded', httpStatus: 400 });
  t.equal(await made.zoneOf(zone), zone);
  for (const [fault, code, sentence] of [
    ['AccessDenied', 'forbidden', /may not do route53:List\w+ \(AccessDenied\)/],
    ['InvalidInput', 'invalid', /does not take route53:List/],
    ['ExpiredToken', 'forbidden', /have expired/],
    ['SignatureDoesNotMatch', 'forbidden', /check the access key, its secret and the clock/],
  ] as const) {
    aws.faults.push({ code: fault, message: 'no', httpStatus: fault === 'InvalidInput' ? 400 : 403 });
    const refused = await refusal(made.apply(zone, change));
    t.equal(refused.code, code, fault);
    t.match(refused.message, sentence);
    t.notMatch(refused.message, /the secret of/);
  }
  t.equal((await refusal(made.apply('not.there', [put('a.not.there', 'A', ['192.0.2.1'])]))).code, 'invalid');

  environment(aws.url, 'AKIANOBODY');
  const stranger = provider();
  t.teardown(() => stranger.stop());
  await stranger.start();
  const { code, message } = await refusal(stranger.zoneOf(zone));
  t.equal(code, 'forbidden');
  t.match(message, /refuses the AWS credentials \(InvalidClientTokenId\)/);

  delete process.env.AWS_ACCESS_KEY_ID;
  process.env.AWS_SHARED_CREDENTIALS_FILE = process.env.AWS_CONFIG_FILE = '/nowhere';
  const nobody = provider();
  t.teardown(() => nobody.stop());
  await nobody.start();
  t.match(await refusal(nobody.zoneOf(zone)), { code: 'forbidden', message: /no AWS credentials were found/ });
});
