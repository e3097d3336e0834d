import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RecipeContext } from '../../core/contracts/recipe.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import { sshAccess, sshTarget } from '../../providers/remotes/ssh-target.ts';
import { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { PythonRecipeLoader } from '../../recipes/python/python-recipe-loader.ts';
import { config } from '../../recipes/python/schema.ts';
import { freePort } from '../fakes/free-port.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { TestUsers } from '../fakes/test-users.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';
import { STRANGE_ARGUMENTS } from '../suites/remote-suite.ts';
import { clientWith, TestAuthority } from '../tls/machine-with-certificate.ts';

interface Place {
  /** The one who may use sudo, and the one who may not. */
  admin: string;
  other: string;
  /** One whose login shell lets nobody in. */
  barred: string;
  home: string;
  port: number;
  remote(user: string): Remote;
}

/** A host with two users who are not root, and logins for them. */
async function withUsers(t: Test, body: (place: Place) => Promise<void>): Promise<void> {
  if (skipWithoutSshd(t) || TestUsers.skipWithout(t)) return;
  const hosts = await SshdHosts.start(1);
  const users = new TestUsers();
  const connections = new SshConnections(new HostKeyPins(join(hosts.folder, 'pins', 'known_hosts')));
  try {
    const [host] = hosts.hosts;
    if (!host) throw new Error('no host');
    for (const folder of [hosts.folder, host.folder]) chmodSync(folder, 0o755);
    chmodSync(host.home, 0o777);
    await body({
      admin: users.add('admin', host.home, true),
      other: users.add('other', host.home, false),
      barred: users.add('barred', host.home, false, '/usr/sbin/nologin'),
      home: host.home,
      port: host.port,
      remote: (user) =>
        connections.remote(sshTarget('127.0.0.1', sshAccess.parse({ user, port: host.port, keys: [hosts.key] }))),
    });
  } finally {
    connections.close();
    await hosts.remove();
    users.remove();
  }
}

const ownerOf = (path: string): { uid: number; mode: number } => {
  const { uid, mode } = statSync(path);
  return { uid, mode: mode & 0o777 };
};
const uidOf = async (remote: Remote): Promise<number> => Number((await remote.run(['id', '-u'])).stdout);

t.test('a user with sudo is root where that is asked for, and only there', async (t) => {
  await withUsers(t, async ({ admin, home, remote: of }) => {
    const remote = of(admin);
    const uid = await uidOf(remote);
    t.not(uid, 0);
    t.equal((await remote.sudo(['id', '-u'])).stdout, '0\n');
    const wanted = STRANGE_ARGUMENTS.map((argument) => `${argument}|`).join('');
    t.equal((await remote.sudo(['printf', '%s|', ...STRANGE_ARGUMENTS])).stdout, wanted);
    const { stdout } = await remote.sudo(['/bin/sh', '-c', 'cat; echo "$X|$PWD"'], {
      env: { X: "it's $x" },
      input: 'in\n',
    });
    t.equal(stdout, `in\nit's $x|${home}\n`);
    t.match(await remote.sudo(['/bin/sh', '-c', 'echo why >&2; exit 3'], { allowFailure: true }), {
      code: 3,
      stderr: 'why\n',
    });

    await t.rejects(remote.sudo(['/bin/sh', '-c', 'echo $$ > pid; exec sleep 300'], { timeout: 3 }), {
      code: 'timeout',
    });
    const pid = Number(readFileSync(join(home, 'pid'), 'utf8'));
    await eventually(() => new ProcTable().read(pid) === undefined, 'what ran as root is ended when its time is up');
  });
});

t.test('files get the owner and the mode that they are to have', async (t) => {
  await withUsers(t, async ({ admin, other, home, remote: of }) => {
    const remote = of(admin);
    const [uid, otherUid] = [await uidOf(remote), await uidOf(of(other))];
    const local = join(home, '..', 'local');
    mkdirSync(join(local, 'sub'), { recursive: true });
    writeFileSync(join(local, 'file'), 'one', { mode: 0o640 });
    writeFileSync(join(local, 'sub', 'deep'), 'two', { mode: 0o600 });

    await remote.put(join(local, 'file'), 'own');
    t.same(ownerOf(join(home, 'own')), { uid, mode: 0o640 });
    await remote.put(join(local, 'file'), 'roots', { sudo: true, mode: 0o600 });
    t.same(ownerOf(join(home, 'roots')), { uid: 0, mode: 0o600 });
    t.equal(await remote.put(join(local, 'file'), 'roots', { sudo: true, mode: 0o600 }), false, 'it is there already');
    t.equal(
      await remote.put(join(local, 'file'), 'roots', { owner: other, mode: 0o600 }),
      true,
      'only its owner is wrong',
    );
    t.same(ownerOf(join(home, 'roots')), { uid: otherUid, mode: 0o600 });
    await remote.write('text', 'locked/by/root', { sudo: true, mode: 0o400 });
    t.same(ownerOf(join(home, 'locked')), { uid: 0, mode: 0o755 });
    await t.rejects(remote.write('text', 'locked/no'), { message: /Permission denied/ });
    t.equal(await remote.putFolder(local, 'folder', { owner: other }), 2);
    for (const path of ['folder', 'folder/sub', 'folder/sub/deep'])
      t.equal(ownerOf(join(home, path)).uid, otherUid, path);
    t.equal(await remote.putFolder(local, 'folder', { owner: other }), 0);
    await t.rejects(remote.put(join(local, 'file'), 'own', { owner: 'nobody-of-that-name' }), {
      message: /invalid user/,
    });
  });
});

t.test('a recipe of old with sudo', async (t) => {
  await withUsers(t, async ({ admin, home, remote: of }) => {
    writeFileSync(join(home, '..', 'redis.conf'), 'port 6379\n');
    const loader = new PythonRecipeLoader([join(packageRoot, 'test', 'fixtures', 'python')], config.parse({}));
    const make = await loader.load('mystartup.recipes.everything');
    const context: RecipeContext = {
      remote: of(admin),
      options: { config_dir: join(home, '..'), install_dir: '/var/tmp/cerebro-sudo-user' },
      version: undefined,
      job: 'redis',
      copy: 'redis.1',
      machine: { id: 'ssh-rack1-1', zone: 'ssh-rack1', address: '127.0.0.1' },
      logger: silentLogger,
      signal: new AbortController().signal,
    };
    try {
      await make?.(context).runDeploy();
      t.equal(ownerOf('/var/tmp/cerebro-sudo-user').uid, 0);
      t.match(readFileSync(join(home, '..', 'deployed.conf'), 'utf8'), /^port 6379\nbind 127.0.0.1\n/);
    } finally {
      await context.remote.sudo(['rm', '-rf', '/var/tmp/cerebro-sudo-user']);
      await loader.stop();
    }
  });
});

t.test('a machine sitter is deployed by a user with sudo, and runs tasks as whom they name', async (t) => {
  await withUsers(t, async ({ admin, other, home, remote: of }) => {
    const authority = await TestAuthority.create();
    const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
    const runtime = join(home, '..', 'node');
    writeFileSync(runtime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    const options = {
      cache: join(home, '..', 'cache'),
      selfCommand: ['node', join(packageRoot, 'dist/core/main.js')],
      runtimes: { [process.arch]: runtime },
    };
    const deployment = new MachineSitterDeployment({
      package: new SitterPackage(options),
      identities: { issue: (id) => authority.machine(id), greet: (id, endpoint) => client.greet({ id, endpoint }) },
      clock: new SystemClock(),
    });
    const port = await freePort();
    const folder = join(home, 'sitter');
    const target = {
      remote: of(admin),
      machineId: 'm-1',
      address: '127.0.0.1',
      host: '127.0.0.1',
      port,
      folder,
      service: 'plain' as const,
    };
    try {
      t.same(await deployment.deploy(target), { endpoint: `https://127.0.0.1:${port}`, changed: true });
      t.same(ownerOf(join(folder, 'data')), { uid: 0, mode: 0o700 });
      t.same(await deployment.deploy(target), { endpoint: `https://127.0.0.1:${port}`, changed: false });
      const machine = { id: 'm-1', endpoint: `https://127.0.0.1:${port}` } as never;
      const said = join(home, 'said');
      await client.putTask(machine, definition('who', { command: `id -un > ${said}; exec sleep 1000`, uid: other }));
      await eventually(
        () => existsSync(said) && readFileSync(said, 'utf8') === `${other}\n`,
        'the task runs as its user',
      );
    } finally {
      await deployment.wipe(target);
      await client.close();
    }
    t.notOk(existsSync(folder), 'and is wiped by it');
    t.same(readdirSync(home), ['said']);
  });
});

t.test('a user without sudo is told what is missing, and nothing is done', async (t) => {
  await withUsers(t, async ({ other, barred, home, port, remote: of }) => {
    const remote = of(other);
    const sentence = new RegExp(
      `the user "${other}" on 127.0.0.1:${port} cannot become root \\(sudo: .*\\); let it use sudo without a password \\("${other} ALL=\\(ALL\\) NOPASSWD: ALL" in /etc/sudoers.d\\), or log in as root$`,
    );
    await t.rejects(remote.sudo(['touch', 'was-here'], { allowFailure: true }), { code: 'invalid', message: sentence });
    await t.rejects(remote.write('x', 'was-here', { sudo: true }), { code: 'invalid', message: sentence });
    t.same(readdirSync(home), []);
    t.equal((await remote.run(['echo', 'in'])).stdout, 'in\n', 'the rest works as ever');
    await t.rejects(of(barred).run(['touch', 'was-here'], { allowFailure: true }), {
      code: 'invalid',
      message: `touch: the login of "${barred}" on 127.0.0.1:${port} runs no commands: This account is currently not available.`,
    });
  });
});
