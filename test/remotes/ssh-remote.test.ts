import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Remote } from '../../core/contracts/remote.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import { type SshAccess, type SshTarget, sshAccess, sshTarget } from '../../providers/remotes/ssh-target.ts';
import { skipUnless } from '../fakes/needs.ts';
import { type SshdHost, SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { eventually } from '../suites/eventually.ts';
import { type RemoteUnderTest, remoteSuite } from '../suites/remote-suite.ts';

const run = promisify(execFile);

/** A test with hosts of its own and a set of connections, all ended after it. */
async function withHosts(
  t: Test,
  count: number,
  body: (hosts: SshdHosts, connections: SshConnections, target: TargetOf) => Promise<void>,
): Promise<void> {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(count);
  const connections = new SshConnections(new HostKeyPins(join(hosts.folder, 'pins', 'known_hosts')));
  try {
    await body(hosts, connections, (host, access = {}) =>
      sshTarget('127.0.0.1', sshAccess.parse({ user: host.user, port: host.port, keys: [hosts.key], ...access })),
    );
  } finally {
    connections.close();
    await hosts.remove();
  }
}
type TargetOf = (host: SshdHost, access?: Partial<SshAccess> & Record<string, unknown>) => SshTarget;

t.test('ssh remote', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const [host] = hosts.hosts;
    if (!host) throw new Error('no host');
    const make = async (): Promise<RemoteUnderTest> => {
      const folder = mkdtempSync(join(host.home, 'it is '));
      const again = async (): Promise<ReturnType<SshConnections['remote']>> => connections.remote(target(host), folder);
      return {
        remote: await again(),
        again,
        folder,
        cleanUp: async () => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }),
      };
    };
    for (const { name, run } of remoteSuite(make)) await t.test(name, async (t) => run(t));
  });
});
t.test('arguments, environment, input and paths arrive whatever they are', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const remote = connections.remote(target(only(hosts)), 'a folder');
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
    const shellish = fc.array(fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', '!', '*', '(', ')', '-', 'x'), {
      maxLength: 12,
    });
    const word = fc.oneof(
      text,
      shellish.map((parts) => parts.join('')),
    );
    const script = 'printf "%s\\0" "$V" "$(cat; echo .)" "$@"';
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), word, word, async (words, value, input) => {
        const options = { env: { V: value }, input };
        const { stdout } = await remote.run(['/bin/sh', '-c', script, 'sh', ...words], options);
        t.same(stdout.split('\0').slice(0, -1), [value, `${input}.`, ...words]);
      }),
      { numRuns: 60 },
    );
    const name = word.filter(
      (path) => !/[/\n]/.test(path) && !['', '.', '..'].includes(path) && Buffer.byteLength(path) < 100,
    );
    await fc.assert(
      fc.asyncProperty(name, async (path) => {
        await remote.write(path, path);
        t.equal(readFileSync(join(only(hosts).home, 'a folder', path), 'utf8'), path);
      }),
      { numRuns: 15 },
    );
  });
});

t.test('a login that cannot be is refused with what to do', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const host = only(hosts);
    const refused = async (access: Parameters<typeof target>[1], code: string, message: RegExp): Promise<void> => {
      await t.rejects(connections.remote(target(host, access)).run(['true']), { code, message });
    };
    await refused(
      { keys: [hosts.wrongKey] },
      'unauthorized',
      /accepted no key for the user ".+" \(tried: .*wrong_key\)/,
    );
    await refused({ keys: [] }, 'invalid', /neither keys nor an agent are named/);
    await refused({ keys: ['/no/such/key'] }, 'invalid', /no such file.*see "keys" and "agent"/);
    writeFileSync(join(hosts.folder, 'no_key'), 'not a key');
    await refused({ keys: [join(hosts.folder, 'no_key')] }, 'invalid', /no_key: /);
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', join(hosts.folder, 'locked')]);
    await refused({ keys: [join(hosts.folder, 'locked')] }, 'invalid', /locked: it is encrypted; hand it to an agent/);
    await refused({ agent: join(hosts.folder, 'no-agent'), keys: [] }, 'unauthorized', /the agent at .*no-agent/);
    const port = host.port;
    await host.stop();
    await refused(
      { port },
      'unavailable',
      new RegExp(`127.0.0.1:${port} cannot be reached by SSH: nothing listens there`),
    );
    const deaf = createServer().listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    const silent = (deaf.address() as AddressInfo).port;
    await refused({ port: silent, connect_timeout: 0.3 }, 'timeout', /gave no SSH login within 0.3 s/);
    deaf.close();
  });
});

t.test('of many keys, the one that fits is found; an agent has keys too', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const host = only(hosts);
    const wrong = await Promise.all(
      Array.from({ length: 7 }, async (_, n) => {
        const path = join(hosts.folder, `wrong-${n}`);
        await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
        return path;
      }),
    );
    t.equal(
      (await connections.remote(target(host, { keys: [...wrong, hosts.key] })).run(['echo', 'in'])).stdout,
      'in\n',
    );
    if (skipUnless(t, existsSync('/usr/bin/ssh-agent'), 'there is no ssh-agent: apt-get install openssh-client'))
      return;
    const socket = join(hosts.folder, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    try {
      await eventually(() => existsSync(socket), 'the agent listens');
      await run('ssh-add', ['-q', hosts.key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
      t.equal((await connections.remote(target(host, { keys: [], agent: socket })).run(['echo', 'in'])).stdout, 'in\n');
    } finally {
      agent.kill();
    }
  });
});

t.test('a host key is remembered from the first contact on, and another one is refused', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const host = only(hosts);
    await connections.remote(target(host)).run(['true']);
    t.equal(readFileSync(connections.pins.path, 'utf8'), `[127.0.0.1]:${host.port} ${host.hostKey}\n`);
    for (const type of ['ed25519', 'ecdsa']) {
      await host.stop();
      await host.changeHostKey(type);
      await host.start();
      await t.rejects(connections.remote(target(host)).run(['touch', 'was-here']), {
        code: 'forbidden',
        message:
          /the host key of \[127.0.0.1\]:\d+ has changed: it was ssh-ed25519 SHA256:.*take its line out of .*known_hosts/,
      });
    }
    t.notOk(existsSync(join(host.home, 'was-here')));
    connections.pins.forget(`[127.0.0.1]:${host.port}`);
    await connections.remote(target(host)).run(['true']);

    const given = { host_keys: [host.hostKey] };
    await connections.remote(target(host, given)).run(['true']);
    const other = `ssh-ed25519 ${Buffer.from('\0\0\0\x0bssh-ed25519 some other key').toString('base64')}`;
    await t.rejects(connections.remote(target(host, { host_keys: [other] })).run(['true']), {
      code: 'forbidden',
      message: /mend "host_keys"/,
    });
  });
});

t.test('a host behind a jump host is reached, and both their keys are remembered', async (t) => {
  await withHosts(t, 2, async (hosts, connections, target) => {
    const [way, host] = hosts.hosts;
    if (!way || !host) throw new Error('two hosts were asked for');
    const jump = { address: '127.0.0.1', port: way.port, user: way.user, keys: [hosts.key], host_keys: [] };
    const remote = connections.remote(target(host, { jump }));
    await remote.write('x', 'file');
    t.ok(existsSync(join(host.home, 'file')));
    t.equal(readFileSync(connections.pins.path, 'utf8').split('\n').filter(Boolean).length, 2);
    const nowhere = connections.remote(target(host, { port: 1, jump }));
    await t.rejects(nowhere.run(['true']), {
      code: 'unavailable',
      message: /the jump host .* does not reach 127.0.0.1:1/,
    });
    const refused = connections.remote(target(host, { jump: { ...jump, keys: [hosts.wrongKey] } }));
    await t.rejects(refused.run(['true']), { code: 'unauthorized', message: new RegExp(`127.0.0.1:${way.port}`) });
  });
});

t.test('one connection serves all, and a broken one is replaced', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const host = only(hosts);
    const remote = connections.remote(target(host));
    const other = connections.remote(target(host));
    const client = async (from: Remote): Promise<string> =>
      (await from.run(['/bin/sh', '-c', 'echo "$SSH_CONNECTION"'])).stdout;
    const first = await client(remote);
    t.same(await Promise.all([client(remote), client(other), client(remote)]), [first, first, first]);
    const running = remote.run(['/bin/sh', '-c', 'echo > began; sleep 300']);
    const broken = t.rejects(running, {
      code: 'unavailable',
      message: /broke while \/bin\/sh ran; how it ended is not known/,
    });
    await eventually(() => existsSync(join(host.home, 'began')), 'it runs');
    await host.stop();
    await broken;
    await host.start();
    t.not(await client(remote), first);
    await remote.close();
    await t.rejects(remote.run(['true']), { code: 'unavailable', message: /closed/ });
    t.ok(await client(other));
  });
});

t.test('a full disk and a file that is cut on its way leave what was there', async (t) => {
  await withHosts(t, 1, async (hosts, connections, target) => {
    const host = only(hosts);
    const remote = connections.remote(target(host));
    await remote.write('old', 'kept');
    const large = join(hosts.folder, 'large');
    writeFileSync(large, Buffer.alloc(30_000_000, 'x'));
    let cut = false;
    const putting = remote.put(large, 'kept', {
      onProgress: (sent) => {
        if (cut || sent < 3_000_000) return;
        cut = true;
        setImmediate(() => void host.stop());
      },
    });
    await t.rejects(putting, { code: 'unavailable' });
    await eventually(() => readdirSync(host.home).length === 1, 'the half of it is taken away');
    t.equal(readFileSync(join(host.home, 'kept'), 'utf8'), 'old');
    await host.start();
    t.equal(await remote.put(large, 'kept'), true);
    if (!existsSync('/dev/full')) return;
    await t.rejects(remote.script('cat >/dev/full', { name: 'put', input: 'x' }), {
      code: 'no_space',
      message: /put: the disk on 127.0.0.1:\d+ is full: cat: .*No space left on device/,
    });
  });
});

function only(hosts: SshdHosts): SshdHost {
  const [host] = hosts.hosts;
  if (!host) throw new Error('a host was asked for');
  return host;
}
