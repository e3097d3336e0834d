import t from 'tap';
import type { Packed } from '../../recipes/machine-sitter/sitter-package.ts';
import { checkSpace, judgeTarget, readFacts, type TargetFacts } from '../../recipes/machine-sitter/target-facts.ts';

const NOW = 1_800_000_000;
const wanted = { machineId: 'm-1', port: 40_000, authority: 'aaaa', now: NOW };

const good = `folder=/opt/cerebro
system=Linux
machine=x86_64
uid=0
time=${NOW + 30}
bash=yes
parent=/opt
writable=yes
free_kb=1000000
has=cerebro-0.1.0-abc
has=node-v20-linux-x64
deployed=
sitter=
sitter_port=
`;
const facts = (change: Partial<TargetFacts> = {}): TargetFacts => ({ ...readFacts(good), ...change });

t.test('what the probe says is read, and a good target has nothing against it', async (t) => {
  t.same(readFacts(good), {
    folder: '/opt/cerebro',
    system: 'Linux',
    machine: 'x86_64',
    uid: 0,
    time: NOW + 30,
    bash: true,
    zstd: false,
    missing: [],
    systemd: false,
    parent: '/opt',
    writable: true,
    free: 1_024_000_000,
    unit: '',
    has: new Set(['cerebro-0.1.0-abc', 'node-v20-linux-x64']),
    deployed: '',
    running: false,
    sitterPort: null,
    ends: 0,
    listening: false,
    authority: null,
    names: '',
  });
  t.equal(judgeTarget(facts(), wanted), 'x64');
  t.equal(judgeTarget(facts({ machine: 'aarch64' }), wanted), 'arm64');
  t.equal(judgeTarget(facts({ listening: true, running: true, sitterPort: 40_000 }), wanted), 'x64', 'our own sitter');
  t.equal(judgeTarget(facts({ authority: 'aaaa', names: 'URI:cerebro:machine/m-1' }), wanted), 'x64', 'ours already');
});

t.test('each thing that is in the way has its sentence', async (t) => {
  const cases: [Partial<TargetFacts>, string, RegExp][] = [
    [{ system: 'FreeBSD' }, 'unsupported', /runs FreeBSD, and not Linux/],
    [{ system: '' }, 'unsupported', /something unknown/],
    [{ machine: 'mips64' }, 'unsupported', /architecture, mips64, is none that Node is made for/],
    [{ folder: '/opt/it is' }, 'unsupported', /"\/opt\/it is" must be named by letters/],
    [{ missing: ['tar', 'gzip'] }, 'unsupported', /has no tar and no gzip; install/],
    [{ writable: false, uid: 1000 }, 'forbidden', /\/opt may not be written by uid 1000/],
    [{ time: NOW - 13 * 3600 }, 'unsupported', /clock is 13 hours behind.*set it/],
    [{ time: NOW + 100 * 3600 }, 'unsupported', /clock is 100 hours ahead/],
    [{ authority: 'bbbb', names: 'URI:cerebro:machine/m-1' }, 'conflict', /another cluster/],
    [{ authority: 'aaaa', names: 'URI:cerebro:machine/m-2' }, 'conflict', /is machine m-2 already/],
    [{ listening: true }, 'conflict', /port 40000 is taken there/],
    [{ listening: true, running: true, sitterPort: 40_001 }, 'conflict', /port 40000 is taken there/],
  ];
  for (const [change, code, message] of cases)
    t.throws(() => judgeTarget(facts(change), wanted), { code, message }, String(message));
});

t.test('space is needed for what is brought, unpacked, and for nothing else', async (t) => {
  const packed: Packed = {
    name: 'x',
    packer: 'gzip',
    path: '/x',
    bytes: 40_000_000,
    unpacked: 100_000_000,
    sha256: 'a',
  };
  t.throws(() => checkSpace(facts({ free: 110_000_000 }), [packed]), {
    code: 'no_space',
    message: /under \/opt: 116 MB are needed, 110 MB are free/,
  });
  t.doesNotThrow(() => checkSpace(facts({ free: 116_000_000 }), [packed]), 'just enough');
  t.doesNotThrow(() => checkSpace(facts({ free: 0 }), []), 'nothing is brought');
  t.doesNotThrow(() => checkSpace(facts({ free: null }), [packed]), 'nobody knows how much is free');
});
