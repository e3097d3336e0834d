import t from 'tap';
import { forecastNames } from '../../core/decide/dns/dns-forecast.ts';
import { checkDnsNames, regionOf } from '../../core/decide/dns/dns-names.ts';
import { problemOfName } from '../../core/model/dns-name.ts';
import { type JobRecord, type JobSpec, jobSpec } from '../../core/model/job.ts';

const spec = (basename: string | undefined, layout: Record<string, number>, name = 'web'): JobSpec =>
  jobSpec.parse({
    task_configuration: { name, command: 'x' },
    deployment_layout: Object.fromEntries(Object.entries(layout).map(([zone, count]) => [zone, { count }])),
    ...(basename !== undefined && { dns_basename: basename }),
  });
const inForce = (...specs: JobSpec[]): Map<string, JobRecord> =>
  new Map(
    specs.map((one) => [one.task_configuration.name, { name: one.task_configuration.name, spec: one } as JobRecord]),
  );

t.test('regions', async (t) => {
  for (const [zone, region] of [
    ['aws-us-west-2a', 'aws-us-west-2'],
    ['aws-us-east-1b', 'aws-us-east-1'],
    ['local-a', 'local-a'],
    ['ssh-rack1', 'ssh-rack1'],
    ['ssh-rack1b', 'ssh-rack1'],
  ] as const)
    t.equal(regionOf(zone, 'region'), region, zone);
  t.equal(regionOf('aws-us-west-2a', 'zone'), 'aws-us-west-2a');
});

t.test('what cannot be a name is refused where it stands, and says why', async (t) => {
  const bad: [string, RegExp][] = [
    [`${'a'.repeat(64)}.com`, /is 64 characters long, and a label has at most 63/],
    [`${'abcdefghi.'.repeat(26)}com`, /is 263 characters long, and a DNS name has at most 253/],
    ['redis..com', /empty label/],
    ['.redis.com', /empty label/],
    ['redis.com.', /empty label/],
    ['-redis.com', /the label "-redis" is not legal/],
    ['redis-.com', /the label "redis-" is not legal/],
    ['re dis.com', /the label "re dis" is not legal/],
    ['rédis.com', /the label "rédis" is not legal/],
    ['*.com', /not legal/],
    ['redis', /only one label/],
    ['10.0.0.1', /ends in a number/],
    ['', /empty label/],
  ];
  for (const [name, sentence] of bad) {
    t.match(problemOfName(name) ?? 'it is fine', sentence, name);
    const parsed = jobSpec.safeParse({ task_configuration: { name: 'web', command: 'x' }, dns_basename: name });
    t.match(parsed.error?.issues[0]?.message, sentence);
    t.same(parsed.error?.issues[0]?.path, ['dns_basename']);
  }
  for (const name of ['redis.startup.com', 'Redis.Startup.COM', '_srv.foo.co.uk', '0.a1.io', `${'a'.repeat(63)}.com`])
    t.equal(problemOfName(name), null, name);
});

t.test('a basename that leaves no room for what goes before it is refused', async (t) => {
  const long = `${'abcdefg.'.repeat(28)}com`;
  const [problem] = checkDnsNames([spec(long, { 'aws-us-west-2a': 1 })], new Map(), 'region');
  t.match(
    problem,
    /"web": dns_basename: with the names of copies in aws-us-west-2a before it, it would be 25\d characters/,
  );
  t.match(problem, /at most 2\d\d$/);
  t.same(checkDnsNames([spec(long, { 'ssh-a': 1 })], new Map(), 'region'), []);
});

t.test('two jobs cannot have the same names', async (t) => {
  const [problem] = checkDnsNames([spec('WEB.test', {}, 'new')], inForce(spec('web.test', {}, 'old')), 'region');
  t.match(problem, /"new": dns_basename: these names are those of "old" already/);
  const both = [spec('web.test', {}, 'one'), spec('web.test', {}, 'two')];
  t.equal(checkDnsNames(both, new Map(), 'region').length, 1);
  const handedOver = [spec(undefined, {}, 'old'), spec('web.test', {}, 'new')];
  t.same(checkDnsNames(handedOver, inForce(spec('web.test', {}, 'old')), 'region'), []);
  t.same(checkDnsNames([spec('web.test', {}, 'old')], inForce(spec('web.test', {}, 'old')), 'region'), []);
});

t.test('what a new configuration does to names is said beforehand', async (t) => {
  const at = { kind: 'at' as const, provider: 'dynect', zone: 'startup.com', maxValues: 13 };
  t.same(
    forecastNames(spec('redis.startup.com', { 'aws-us-west-2a': 2, 'aws-us-west-2b': 1 }), undefined, at, 'region'),
    [
      'make the DNS name aws-us-west-2.redis.startup.com for the ready copies, and 0.aws-us-west-2.redis.startup.com to 2.aws-us-west-2.redis.startup.com for one each, at dynect, zone startup.com',
    ],
  );
  const same = spec('redis.startup.com', { 'aws-us-west-2a': 2 });
  t.same(forecastNames(same, same, at, 'region'), []);
  t.match(forecastNames(spec('redis.startup.com', { 'aws-us-west-2a': 300 }), same, at, 'region'), [
    /cannot: aws-us-west-2\.redis\.startup\.com is to have 300 addresses, and dynect can hold 13/,
  ]);
  t.match(forecastNames(same, undefined, { kind: 'nobody' }, 'region'), [/cannot: no DNS provider serves redis/]);
  t.match(forecastNames(same, undefined, { kind: 'unclear', sentence: 'dynect sleeps' }, 'region'), [/dynect sleeps/]);
  t.match(forecastNames(spec(undefined, { 'aws-us-west-2a': 2 }), same, null, 'region'), [
    /remove the DNS name aws-us-west-2\.redis\.startup\.com/,
  ]);
});
