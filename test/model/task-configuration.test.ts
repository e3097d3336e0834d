import t from 'tap';
import { byteSize } from '../../core/model/byte-size.ts';
import { taskConfiguration } from '../../core/model/task-configuration.ts';

type Values = Record<string, unknown>;

function read(values: Values): ReturnType<typeof taskConfiguration.parse> {
  return taskConfiguration.parse({ name: 'a', command: 'a', ...values });
}

/** What is said of a configuration that is refused: `KEY: SENTENCE` each; nothing of one that is taken. */
function refusals(values: Values): string[] {
  const result = taskConfiguration.safeParse({ name: 'a', command: 'a', ...values });
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

t.test('what is left out has its default', async (t) => {
  const configuration = read({});
  t.equal(configuration.health_check, undefined, 'nobody is asked');
  t.same(configuration.limits, { io: [], mem_warn: 0.9, swap: false });
  t.same(configuration.on_violation, { cpu: 'throttle', mem: 'restart', time: 'restart' });
  t.same(configuration.logs, { max_bytes: 64 * 2 ** 20, keep_runs: 10 });
  t.same(read({ limits: { pids: 100 } }).limits, { pids: 100, io: [], mem_warn: 0.9, swap: false }, 'key by key');
  t.same(read({ logs: { keep_runs: 3 } }).logs, { max_bytes: 64 * 2 ** 20, keep_runs: 3 });
  t.same(read({ health_check: { command: 'true' } }).health_check, {
    command: 'true',
    interval: 5,
    timeout: 2,
    start_period: 10,
    failures: 3,
  });
});

t.test('defaults are nobody’s: changing what one got changes nothing for the next', async (t) => {
  read({}).limits.io.push({ device: '/dev/sda', rbps: 1 });
  t.same(read({}).limits.io, []);
});

t.test('what is asked about its health', async (t) => {
  const taken: [what: string, given: Values, target: Values][] = [
    ['a URL', { http: 'http://127.0.0.1:8080/health' }, { http: 'http://127.0.0.1:8080/health' }],
    ['one of TLS', { http: 'https://localhost/x?y=1' }, { http: 'https://localhost/x?y=1' }],
    ['a path at a port of this host', { http: ':8080/x' }, { http: 'http://127.0.0.1:8080/x' }],
    ['a port of this host', { http: ':8080' }, { http: 'http://127.0.0.1:8080' }],
    ['a bare port', { tcp: 8080 }, { tcp: '127.0.0.1:8080' }],
    ['a host and its port', { tcp: 'db.local:5432' }, { tcp: 'db.local:5432' }],
    ['an address of IPv6', { tcp: '[::1]:5432' }, { tcp: '[::1]:5432' }],
    ['a command', { command: 'test -e ready' }, { command: 'test -e ready' }],
  ];
  for (const [what, given, target] of taken) t.match(read({ health_check: given }).health_check, target, what);

  const url = 'health_check.http: expected a URL like http://127.0.0.1:8080/health, or :8080/health';
  const port = 'health_check.tcp: expected a port, or host:port';
  const refused: [what: string, given: Values, said: string | RegExp][] = [
    ['nothing', {}, 'health_check: expected one of http, tcp and command'],
    ['nothing but times', { interval: 1 }, 'health_check: expected one of http, tcp and command'],
    ['two', { http: ':8080/', tcp: 8080 }, 'health_check: expected one of http, tcp and command'],
    ['three', { http: ':8080/', tcp: 8080, command: 'true' }, 'health_check: expected one of http, tcp and command'],
    ['no URL', { http: 'nonsense' }, url],
    ['a path without a host', { http: '/health' }, url],
    ['another protocol', { http: 'ftp://localhost/' }, url],
    ['a port that there is not', { http: ':99999/x' }, url],
    [
      'port 0 in a URL, where nobody can listen',
      { http: ':0/x' },
      'health_check.http: expected a port from 1 to 65535',
    ],
    ['port 0', { tcp: 0 }, /^health_check\.tcp: /],
    ['port 0 of a host', { tcp: 'db:0' }, 'health_check.tcp: expected a port from 1 to 65535'],
    ['a port too many', { tcp: 65_536 }, /^health_check\.tcp: /],
    ['a port too many of a host', { tcp: 'db:65536' }, 'health_check.tcp: expected a port from 1 to 65535'],
    ['a host without a port', { tcp: 'db' }, port],
    ['half a port', { tcp: 80.5 }, port],
    ['an address of IPv6 without brackets', { tcp: '::1:80' }, port],
    ['an empty command', { command: '' }, /^health_check\.command: /],
    ['no pause', { tcp: 1, interval: 0 }, /^health_check\.interval: /],
    ['no time to answer', { tcp: 1, timeout: 0 }, /^health_check\.timeout: /],
    ['a start that was over before', { tcp: 1, start_period: -1 }, /^health_check\.start_period: /],
    ['no failures', { tcp: 1, failures: 0 }, /^health_check\.failures: /],
    ['half a failure', { tcp: 1, failures: 1.5 }, /^health_check\.failures: /],
    ['a key that there is not', { tcp: 1, timout: 3 }, /timout/],
  ];
  for (const [what, given, said] of refused) t.match(refusals({ health_check: given }), [said], what);
});

t.test('limits', async (t) => {
  const io = (given: unknown): unknown => read({ limits: { io: given } }).limits.io;
  t.equal(read({ limits: { pids: 16 } }).limits.pids, 16);
  t.same(io({ device: '/dev/sda', rbps: '1MB' }), [{ device: '/dev/sda', rbps: 2 ** 20 }], 'a single disk');
  t.same(
    io([
      { device: '8:0', wbps: 1000 },
      { device: '/dev/nvme0n1', rbps: '10 MB', wbps: '5 MB' },
    ]),
    [
      { device: '8:0', wbps: 1000 },
      { device: '/dev/nvme0n1', rbps: 10 * 2 ** 20, wbps: 5 * 2 ** 20 },
    ],
    'several',
  );
  for (const share of [0, 0.5, 1]) t.equal(read({ limits: { mem_warn: share } }).limits.mem_warn, share);
  t.equal(read({ limits: { swap: true } }).limits.swap, true);

  const device = 'expected a device, like /dev/sda or 8:0';
  const refused: [what: string, given: Values, said: string | RegExp][] = [
    ['too few processes', { pids: 15 }, 'limits.pids: expected at least 16 processes and threads'],
    ['half a process', { pids: 16.5 }, /^limits\.pids: /],
    ['a share of more than all', { mem_warn: 1.1 }, /^limits\.mem_warn: /],
    ['less than none', { mem_warn: -0.1 }, /^limits\.mem_warn: /],
    ['a yes that is a word', { swap: 'yes' }, /^limits\.swap: /],
    ['a name that is no device, in a list', { io: [{ device: 'sda', rbps: 1 }] }, `limits.io.0.device: ${device}`],
    ['a list of a disk without a limit', { io: [{ device: '8:0' }] }, /^limits\.io\.0: says neither rbps nor wbps/],
    ['a name that is no device', { io: { device: 'sda', rbps: 1 } }, new RegExp(`^limits\\.io.*${device}`)],
    ['a disk without a limit', { io: { device: '/dev/sda' } }, /^limits\.io.*says neither rbps nor wbps/],
    ['no amount of bytes', { io: { device: '/dev/sda', rbps: 'lots' } }, /^limits\.io.*expected bytes.*"lots"/],
    ['no bytes at all, which no kernel takes', { io: { device: '/dev/sda', rbps: 0 } }, /^limits\.io/],
  ];
  for (const [what, given, said] of refused) t.match(refusals({ limits: given }), [said], what);
});

t.test('on_violation', async (t) => {
  for (const cpu of ['throttle', 'restart', 'warn'])
    t.match(read({ on_violation: { cpu } }).on_violation, { cpu, mem: 'restart', time: 'restart' });
  t.match(refusals({ on_violation: { cpu: 'kill' } }), [/^on_violation\.cpu: .*throttle.*restart.*warn/]);
  t.match(refusals({ on_violation: { mem: 'warn' } }), [/^on_violation\.mem: .*restart/]);
  t.match(refusals({ on_violation: { time: 'throttle' } }), [/^on_violation\.time: .*restart/]);
});

t.test('how large a log may become', async (t) => {
  const taken: [given: string | number, bytes: number][] = [
    ['64MB', 64 * 2 ** 20],
    ['64 MB', 64 * 2 ** 20],
    ['64MiB', 64 * 2 ** 20],
    ['1.5 GB', 1.5 * 2 ** 30],
    ['.5G', 2 ** 29],
    ['512k', 512 * 2 ** 10],
    ['2T', 2 ** 41],
    ['100000', 100_000],
    ['100000B', 100_000],
    [65_536, 65_536],
  ];
  for (const [given, bytes] of taken) t.equal(read({ logs: { max_bytes: given } }).logs.max_bytes, bytes, `${given}`);
  for (const given of ['63KB', 65_535, 0, '0MB'])
    t.same(refusals({ logs: { max_bytes: given } }), ['logs.max_bytes: expected at least 64KB'], `${given}`);
  for (const given of ['nonsense', '', '-1MB', -1, '1,5 GB', '1.5.5MB', '64 MB a day', '1PB', '1e9'])
    t.same(
      refusals({ logs: { max_bytes: given } }),
      [`logs.max_bytes: expected bytes, like 67108864 or "64MB"; got ${JSON.stringify(given)}`],
      `${given}`,
    );
  for (const given of [null, true, ['64MB'], Number.NaN])
    t.same(
      refusals({ logs: { max_bytes: given } }),
      ['logs.max_bytes: expected bytes, like 67108864 or "64MB"'],
      `${given}`,
    );
  t.match(refusals({ logs: { keep_runs: 0 } }), [/^logs\.keep_runs: /]);
  t.match(refusals({ logs: { max_byte: 1 } }), [/max_byte/]);
});

t.test('what is read is read again as it is: a definition goes from daemon to disk and back', async (t) => {
  const configuration = read({
    health_check: { http: ':8080/x' },
    limits: { pids: 50, io: { device: '8:0', wbps: '1.5 MB' } },
    logs: { max_bytes: '1.5 GB' },
  });
  t.same(taskConfiguration.parse(JSON.parse(JSON.stringify(configuration))), configuration);
  t.equal(byteSize.parse(byteSize.parse('1.3 MB')), Math.round(1.3 * 2 ** 20), 'and a part of a byte is none');
});
