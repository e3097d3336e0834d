import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { z } from 'zod';
import { inspectProvider } from '../../core/engine/inspect-provider.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { Finding } from '../../core/model/finding.ts';
import { config } from '../../providers/ssh/schema.ts';
import { freePort } from '../fakes/free-port.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';

t.test('the doctor logs in to each host, says what it is or what is in the way, and changes nothing', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(4);
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-ssh-doctor-'));
  t.teardown(async () => {
    await hosts.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const [free, claimed, strict, other] = hosts.hosts;
  if (!free || !claimed || !strict || !other) throw new Error('there are four');
  mkdirSync(join(claimed.home, '.cerebro-machine'));
  const claim = { clusterId: 'c-1', machineId: 'ssh-rack1-7', intent: 'i' };
  writeFileSync(join(claimed.home, '.cerebro-machine', 'claim'), JSON.stringify(claim));
  const entry = (name: string, port: number, access: object = {}): object => ({
    name,
    address: '127.0.0.1',
    cpu: 1,
    mem: 100,
    access: { port, ...access },
  });
  const zones = {
    rack1: {
      hosts: [
        entry('free', free.port),
        entry('claimed', claimed.port),
        entry('strict', strict.port, { keys: [hosts.wrongKey] }),
        entry('no-key', strict.port, { keys: ['/no/such/key'] }),
        entry('other', other.port, { host_keys: [free.hostKey] }),
        entry('away', await freePort()),
      ],
    },
  };
  const settings = { access: { user: free.user, keys: [hosts.key] }, zones, sudo: process.getuid?.() === 0 };
  const pluginsFile = join(folder, 'plugins.json');
  const use = join(packageRoot, 'providers', 'ssh');
  writeFileSync(
    pluginsFile,
    JSON.stringify({ plugins: [{ use, config: { ...settings, sitter: { port: await freePort() } } }] }),
  );
  const dataDir = join(folder, 'data');
  const { findings } = await inspectProvider({ name: 'ssh', dataDir, pluginsFile });
  const of = (name: string): Finding | undefined => findings.find(({ about }) => about === `rack1/${name}`);
  t.equal(findings.length, 6);
  t.match(of('free'), { grade: 'good', found: /^\S+@127\.0\.0\.1:\d+ \(.*\): free, Linux on / });
  t.match(of('claimed'), { grade: 'good', found: /: machine ssh-rack1-7 of cluster c-1, / });
  t.match(of('strict'), { grade: 'bad', found: /accepted no key for the user/ });
  t.match(of('no-key'), {
    grade: 'bad',
    found: /no key to log in to .*: \/no\/such\/key: there is no such file; see "keys"/,
  });
  t.match(of('other'), { grade: 'bad', found: /host key/ });
  t.match(of('away'), { grade: 'bad', found: /nothing listens there/ });
  t.notOk(existsSync(dataDir), 'nothing is remembered');
  t.notOk(existsSync(join(free.home, '.cerebro-machine')), 'and nothing is made there');
});

t.test('a list without hosts, and a zone with a wrong name, say so', async (t) => {
  const problem = (zones: object): string | undefined => {
    const result: z.ZodSafeParseResult<unknown> = config.safeParse({ zones });
    return result.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  };
  const hosts = [{ name: 'a', address: 'a', cpu: 1, mem: 1 }];
  const pluginsFile = join(t.testdir(), 'plugins.json');
  const use = join(packageRoot, 'providers', 'ssh');
  writeFileSync(pluginsFile, JSON.stringify({ plugins: [{ use, config: { zones: {} } }] }));
  const { findings } = await inspectProvider({ name: 'ssh', dataDir: t.testdirName, pluginsFile });
  t.match(findings, [{ about: 'inventory', grade: 'bad', found: 'it has no host' }]);
  t.match(problem({ 'rack 1': { hosts } }), /^zones\.rack 1: a name is lower-case letters/);
  t.equal(problem({ rack1: { hosts } }), undefined);
});
