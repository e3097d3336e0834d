import t from 'tap';
import { type HostReading, hostVitalsBetween } from '../../core/decide/vitals/host-vitals.ts';
import { readCpuTicks, readLoad, readMemory, readNetwork, readPressure } from '../../core/decide/vitals/read-proc.ts';

const STAT = `cpu  100 0 50 800 40 5 5 10 7 0
cpu0 60 0 30 400 20 3 3 4 7 0
cpu2 40 0 20 400 20 2 2 6 0 0
intr 12345 0 0
ctxt 99
`;

const MEMINFO = `MemTotal:        2048000 kB
MemFree:          100000 kB
MemAvailable:    1500000 kB
Buffers:           50000 kB
Cached:           900000 kB
SwapCached:            0 kB
SwapTotal:       1000000 kB
SwapFree:         400000 kB
`;

const NET = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5000000    100    0    0    0     0          0         0  5000000    100    0    0    0     0       0          0
  eth0:1000     10    0    0    0     0          0         0     2000     10    0    0    0     0       0          0
docker0.5: 30 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0
`;

const reading = (changes: Partial<HostReading> = {}): HostReading => ({
  at: Date.parse('2026-01-02T03:04:05.000Z'),
  monotonicMs: 1000,
  stat: STAT,
  meminfo: MEMINFO,
  loadavg: '0.52 1.25 0.75 2/345 6789\n',
  uptime: '86400.55 1234.5\n',
  net: NET,
  pressure: null,
  disk: { totalBytes: 100, usedBytes: 60, availableBytes: 35 },
  ...changes,
});

t.test('/proc/stat: guests are in user time already, waiting and stolen time is not busy', async (t) => {
  const { all, cores } = readCpuTicks(STAT);
  t.strictSame(all, { busy: 160, total: 1010, waiting: 40, stolen: 10 });
  t.strictSame([...cores.keys()], ['cpu0', 'cpu2'], 'a core that is offline is not there');
});

t.test('/proc/meminfo: the kernel’s estimate of what is available, or ours where it makes none', async (t) => {
  t.strictSame(readMemory(MEMINFO), {
    totalBytes: 2_048_000 * 1024,
    availableBytes: 1_500_000 * 1024,
    swapTotalBytes: 1_000_000 * 1024,
    swapFreeBytes: 400_000 * 1024,
  });
  t.equal(readMemory(MEMINFO.replace(/^MemAvailable.*\n/m, '')).availableBytes, 1_050_000 * 1024);
});

t.test('/proc/net/dev: without loopback; a number may stand right behind the colon', async (t) => {
  t.strictSame(readNetwork(NET), { receivedBytes: 1030, sentBytes: 2070 });
});

t.test('/proc/loadavg and /proc/pressure', async (t) => {
  t.strictSame(readLoad('0.52 1.25 0.75 2/345 6789\n'), { one: 0.52, five: 1.25, fifteen: 0.75 });
  const memory = 'some avg10=12.50 avg60=1.00 avg300=0.20 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n';
  t.strictSame(readPressure(memory), { some: 0.125, full: 0.03 });
  t.strictSame(readPressure('some avg10=1.00 avg60=0.00 avg300=0.00 total=1\n'), { some: 0.01, full: 0 });
});

t.test('files that are empty or of another kernel give zeros, never NaN', async (t) => {
  const empty = reading({ stat: '', meminfo: 'nonsense', loadavg: '', uptime: '', net: '???' });
  const vitals = JSON.stringify(hostVitalsBetween(empty, { ...empty, monotonicMs: 2000 }));
  t.notMatch(vitals, /null,|NaN/);
  t.equal(JSON.parse(vitals).cpu.cores, 0);
});

t.test('rates are averages over the time between', async (t) => {
  const after = reading({
    monotonicMs: 3000,
    stat: `cpu  200 0 50 850 40 5 5 60 7 0
cpu0 160 0 30 400 20 3 3 4 7 0
cpu2 40 0 20 450 20 2 2 56 0 0
`,
    net: NET.replace('eth0:1000 ', 'eth0:5000 '),
    pressure: { cpu: 'some avg10=50.00 x', memory: '', io: '' },
  });
  const vitals = hostVitalsBetween(reading(), after);
  t.equal(vitals.seconds, 2);
  t.strictSame(vitals.cpu, { cores: 2, used: 1, perCore: [1, 0], waiting: 0, stolen: 0.25 });
  t.strictSame(vitals.network, { receivedRate: 2000, sentRate: 0 });
  t.equal(vitals.memory.usedBytes, 548_000 * 1024);
  t.equal(vitals.memory.swapUsedBytes, 600_000 * 1024);
  t.equal(vitals.pressure?.cpu.some, 0.5);
  t.equal(vitals.uptimeSeconds, 86_400);
});

t.test('a counter that went back counts as nothing, and no time has no rates', async (t) => {
  const before = reading({ net: NET.replace('eth0:1000 ', 'eth0:9000 ') });
  const vitals = hostVitalsBetween(before, reading({ monotonicMs: 3000 }));
  t.equal(vitals.network.receivedRate, 0);
  t.strictSame(vitals.cpu.perCore, [0, 0]);
  t.strictSame(hostVitalsBetween(reading(), reading()).network, { receivedRate: 0, sentRate: 0 });
});
