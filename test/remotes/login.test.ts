import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sshConfig } from '../../core/cli/login.ts';
import { loginTo } from '../../core/cluster/machines/machine-login.ts';
import type { MachineProvider } from '../../core/contracts/machine-provider.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { JobRecord } from '../../core/model/job.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import { sshLogin } from '../../providers/remotes/ssh-login.ts';
import { sshAccess, sshTarget } from '../../providers/remotes/ssh-target.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';

type SshLogin = Extract<MachineLogin, { kind: 'ssh' }>;

t.test("OpenSSH's own ssh gets where our connections go, over the jump host, and believes no other host", async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(2);
  const connections = new SshConnections(new HostKeyPins(join(hosts.folder, 'known_hosts')));
  try {
    const [host, way] = hosts.hosts;
    if (!host || !way) throw new Error('two hosts were asked for');
    const login = { user: host.user, keys: [hosts.key] };
    const jump = { ...login, address: '127.0.0.1', port: way.port };
    const target = sshTarget('127.0.0.1', sshAccess.parse({ ...login, port: host.port, jump }));
    const found = (await sshLogin(connections, 'm-1', target)) as SshLogin;
    t.same(found.host.hostKeys, [host.hostKey]);
    t.same(found.jump?.hostKeys, [way.hostKey]);

    const folder = join(hosts.folder, 'login');
    mkdirSync(folder);
    const told: string[] = [];
    const config = join(folder, 'config');
    const ssh = (value: SshLogin, line: string): string => {
      writeFileSync(
        config,
        sshConfig(value, folder, (text) => told.push(text)),
      );
      return execFileSync('ssh', ['-F', config, '-o', 'BatchMode=yes', 'cerebro-machine', '--', line], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    };
    t.equal(ssh(found, 'echo "$HOME"; echo a  b'), `${host.home}\na b\n`);
    t.same(told, []);
    t.equal(statSync(join(folder, 'known_hosts')).mode & 0o777, 0o600);
    t.notMatch(readFileSync(config, 'utf8'), /PRIVATE KEY/);

    const other = { ...found, host: { ...found.host, hostKeys: [way.hostKey] } };
    t.throws(() => ssh(other, 'true'), /Host key verification failed/);
    const elsewhere = { ...found, host: { ...found.host, keys: ['/keys/of/another/host'] } };
    t.throws(() => ssh(elsewhere, 'true'), /Permission denied/);
    t.match(told[0], /not all keys for 127.0.0.1 are on this host; ssh tries your own/);
    const bad = { ...found, host: { ...found.host, user: 'root"\nProxyCommand touch /tmp/x' } };
    t.throws(() => ssh(bad, 'true'), /holds a quote or a line break/);
  } finally {
    connections.close();
    await hosts.remove();
  }
});

t.test('a machine, a copy or a job says where to', async (t) => {
  const machine = (id: string): [string, MachineRecord] => [id, { id, zone: 'ssh-a', address: null } as MachineRecord];
  const copy = (id: string, on: string): [string, CopyRecord] => [
    id,
    { id, job: id.replace(/\.\d+$/, ''), machine: on } as CopyRecord,
  ];
  const job = (name: string): [string, JobRecord] => [name, { name } as JobRecord];
  const records = {
    machines: new Map([machine('m-1'), machine('m-2')]),
    copies: new Map([copy('web.1', 'm-1'), copy('web.2', 'm-2'), copy('db.1', 'm-2')]),
    jobs: new Map([job('web'), job('db'), job('idle')]),
  };
  const provider = {
    login: async ({ machineId }: { machineId: string }) => ({ kind: 'folder', machine: machineId, folder: '/' }),
  } as unknown as MachineProvider;
  const to = async (what: string): Promise<string> =>
    (await loginTo(what, records, new Map([['ssh', provider]]))).machine;
  t.equal(await to('m-1'), 'm-1');
  t.equal(await to('web.2'), 'm-2');
  t.equal(await to('db'), 'm-2');
  await t.rejects(to('web'), { code: 'ambiguous', message: '"web" runs on several machines; name one: m-1, m-2' });
  await t.rejects(to('idle'), { code: 'not_found', message: /"idle" has no copies now/ });
  await t.rejects(to('wbe.1'), { code: 'not_found', message: /there is no machine, copy or job "wbe.1".*web.1/ });
  await t.rejects(loginTo('m-1', records, new Map()), { code: 'unsupported', message: /"ssh" of m-1 offers no login/ });
});
