import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { HostKeyPins } from '../../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../../providers/remotes/ssh-connections.ts';
import { sshAccess, sshTarget } from '../../providers/remotes/ssh-target.ts';
import { MachineSitterDeployment, type SitterTarget } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../../recipes/machine-sitter/sitter-package.ts';
import { freePort } from '../fakes/free-port.ts';
import { SshdHosts, skipWithoutSshd } from '../fakes/sshd-hosts.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';
import { clientWith, TestAuthority } from '../tls/machine-with-certificate.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'cerebro-deploy-'));
const clock = new SystemClock();
const authority = await TestAuthority.create();
const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
const asRoot = process.getuid?.() === 0;

/** A stand-in for the runtime: small, so that not every test brings a hundred megabytes somewhere. */
const smallRuntime = join(folder, 'node');
writeFileSync(smallRuntime, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });

const packageOf = (root: string, runtimes: Record<string, string> = { [process.arch]: smallRuntime }): SitterPackage =>
  new SitterPackage({ cache: join(folder, 'cache'), selfCommand: ['node', join(root, 'dist/core/main.js')], runtimes });

function deploymentOf(pack: SitterPackage, by = authority, answerMs = 60_000, suspendS = 60): MachineSitterDeployment {
  const identities = {
    issue: (id: string) => by.machine(id),
    greet: (id: string, endpoint: string) => client.greet({ id, endpoint }),
  };
  return new MachineSitterDeployment({ package: pack, identities, clock, answerMs, suspendS });
}

const deployment = deploymentOf(packageOf(packageRoot));

t.teardown(async () => {
  await client.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
});

/** A target that is a folder of this host; wiped when the test is over. */
async function localTarget(t: Test, machineId: string): Promise<SitterTarget & { folder: string; port: number }> {
  const home = mkdtempSync(join(folder, 'host-'));
  const port = await freePort();
  const target = {
    remote: new LocalRemote(home, {}),
    machineId,
    address: '127.0.0.1',
    host: '127.0.0.1',
    port,
    folder: join(home, 'sitter'),
    asRoot,
    service: 'plain' as const,
  };
  t.teardown(async () => {
    await deployment.wipe(target);
    await target.remote.close();
  });
  return target;
}

const record = ({ machineId, port }: { machineId: string; port: number }): never =>
  ({ id: machineId, endpoint: `https://127.0.0.1:${port}` }) as never;

/** Asks a deployed machine as people of its host do. */
async function ask(target: { port: number; folder: string }, path: string): Promise<unknown> {
  const token = readFileSync(join(target.folder, 'data', 'admin.token'), 'utf8').trim();
  const answer = await fetch(`http://127.0.0.1:${target.port}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return answer.json();
}

/** A task on a deployed machine; answers its pid as it is now. */
async function taskOn(target: {
  machineId: string;
  port: number;
  folder: string;
}): Promise<() => Promise<number | null>> {
  await client.putTask(record(target), definition('lasting', { command: 'exec sleep 1000' }));
  const pid = async (): Promise<number | null> => ((await ask(target, '/api/v1/tasks/lasting')) as TaskStatus).pid;
  await eventually(async () => (await pid()) !== null, 'the task runs');
  return pid;
}

/** 0 while one sitter takes over from another. */
function sitterPid(target: { folder: string }): number {
  const path = join(target.folder, 'data', 'sitter.json');
  try {
    return Number(JSON.parse(readFileSync(path, 'utf8')).pid);
  } catch {
    return 0;
  }
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

t.test('over SSH, with the real runtime: from nothing to a machine that answers over mutual TLS', async (t) => {
  if (skipWithoutSshd(t)) return;
  const hosts = await SshdHosts.start(1);
  const connections = new SshConnections(new HostKeyPins(join(hosts.folder, 'pins', 'known_hosts')));
  const [host] = hosts.hosts;
  if (!host) throw new Error('no host');
  const real = deploymentOf(packageOf(packageRoot, {}));
  const steps: string[] = [];
  const target = {
    remote: connections.remote(
      sshTarget('127.0.0.1', sshAccess.parse({ user: host.user, port: host.port, keys: [hosts.key] })),
    ),
    machineId: 'ssh-rack1-1',
    address: '127.0.0.1',
    host: '127.0.0.1',
    port: await freePort(),
    folder: join(host.home, 'sitter'),
    asRoot,
    service: 'plain' as const,
    onStep: (sentence: string) => steps.push(sentence),
  };
  t.teardown(async () => {
    await real.wipe(target);
    connections.close();
    await hosts.remove();
  });
  t.same(await real.deploy(target), { endpoint: `https://127.0.0.1:${target.port}`, changed: true });
  t.match(steps, [/^node-v.* is brought there/, /^cerebro-.* is brought there/, 'the machine sitter is started']);
  t.equal(statSync(join(target.folder, 'data')).mode & 0o777, 0o700);
  t.equal(statSync(join(target.folder, 'data', 'identity.json')).mode & 0o777, 0o600);
  const pid = await taskOn(target);
  const before = await pid();

  steps.length = 0;
  t.same(await real.deploy(target), { endpoint: `https://127.0.0.1:${target.port}`, changed: false });
  t.same(steps, [], 'what is there is left alone');
  t.equal(await pid(), before);
  t.notMatch(readFileSync(`/proc/${sitterPid(target)}/cmdline`, 'utf8'), /PRIVATE|Bearer/);
  t.ok(
    readFileSync(`/proc/${sitterPid(target)}/maps`, 'utf8').includes(join(target.folder, 'runtimes')),
    'it runs by the runtime that was brought',
  );
});

t.test('a machine through its life: killed, mistaken for another, upgraded, wiped', async (t) => {
  const target = await localTarget(t, 'm-1');
  await deployment.wipe(target); // where nothing is, there is nothing to wipe
  await deployment.deploy(target);
  const pid = await taskOn(target);
  const task = await pid();
  const keeper = Number(readFileSync(join(target.folder, 'keeper.pid'), 'utf8'));

  await t.test('a sitter that is killed is started again', async (t) => {
    const sitter = sitterPid(target);
    process.kill(sitter, 'SIGKILL');
    await eventually(
      () =>
        ![0, sitter].includes(sitterPid(target)) &&
        client.greet(record(target)).then(
          () => true,
          () => false,
        ),
      'it is back',
    );
    t.equal(await pid(), task);
    t.same((await deployment.deploy(target)).changed, false, 'and a deployment finds it running');
  });

  await t.test('it is left alone by another cluster, and by an order for another machine', async (t) => {
    const stranger = deploymentOf(packageOf(packageRoot), await TestAuthority.create());
    await t.rejects(stranger.deploy(target), { code: 'conflict', message: /belongs to a machine of another cluster/ });
    await t.rejects(deployment.deploy({ ...target, machineId: 'm-6' }), {
      code: 'conflict',
      message: /is machine m-1 already; wipe it first/,
    });
    await client.greet(record(target));
  });

  await t.test('an upgrade starts the sitter again under its tasks', async (t) => {
    // What was packed is whole: it can be packed again.
    const newer = join(folder, 'newer');
    mkdirSync(newer);
    await run('tar', ['-xzf', (await packageOf(packageRoot).program('gzip')).path, '-C', newer]);
    const manifest = readFileSync(join(newer, 'package.json'), 'utf8');
    writeFileSync(join(newer, 'package.json'), manifest.replace(/"version": "[^"]+"/, '"version": "9.9.9"'));
    t.same((await deploymentOf(packageOf(newer)).deploy(target)).changed, true);
    t.match(await ask(target, '/api/v1/machine'), { version: '9.9.9' });
    t.equal(await pid(), task, 'the task was not touched');
  });

  await t.test(
    'wipe ends the tasks and the sitter, also one that was killed with its keeper, and leaves nothing',
    async (t) => {
      const sitter = sitterPid(target);
      for (const dead of [keeper, sitter]) process.kill(dead, 'SIGKILL');
      await deployment.wipe(target);
      t.notOk(existsSync(target.folder));
      t.notOk(isAlive(sitter));
      t.notOk(isAlive(task ?? 0));
      await eventually(() => !isAlive(keeper), 'its keeper goes as well');
      await deployment.wipe(target);
    },
  );
});

t.test('wipe ends the tasks of a sitter that takes no order: one that hangs, and one without its token', async (t) => {
  const impatient = deploymentOf(packageOf(packageRoot), authority, 60_000, 2);
  const faults: Record<string, (target: { folder: string }) => void> = {
    hangs: (target) => process.kill(sitterPid(target), 'SIGSTOP'),
    'has no token': ({ folder }) => rmSync(join(folder, 'data', 'admin.token')),
  };
  for (const [fault, strike] of Object.entries(faults)) {
    const target = await localTarget(t, 'm-5');
    await deployment.deploy(target);
    const task = (await (await taskOn(target))()) ?? 0;
    const [sitter, keeper] = [sitterPid(target), Number(readFileSync(join(target.folder, 'keeper.pid'), 'utf8'))];
    strike(target);
    const steps: string[] = [];
    await impatient.wipe({ ...target, onStep: (sentence) => steps.push(sentence) });
    t.match(steps.at(-1), /is killed, since it could not be ended in order: .*does not take the order/s, fault);
    t.notOk(existsSync(target.folder), fault);
    for (const pid of [task, sitter, keeper]) await eventually(() => !isAlive(pid), `${pid} has ended: it ${fault}`);
  }
});

/** Hands that let go at the call of that number, as a connection that breaks would. */
class BreakingRemote extends LocalRemote {
  left = Number.POSITIVE_INFINITY;
  /** The last script gets only as far as its statement of this number, as if the host had lost its power. */
  statements = Number.POSITIVE_INFINITY;
  /** How many it has. */
  all = 0;

  #count(): void {
    this.left -= 1;
    if (this.left < 0) throw new Error('the connection broke');
  }

  override async run(...[argv, options = {}]: Parameters<LocalRemote['run']>): ReturnType<LocalRemote['run']> {
    this.#count();
    const { input = '' } = options;
    const begins = [...input.matchAll(/^(cd "\$1"$|\[ -d data|put \S+ \d+ <<|rm -f deployed$|\( set )/gm)];
    if (begins.length > 1) this.all = begins.length;
    const cut = begins.length > 1 ? begins[this.statements] : undefined;
    return super.run(argv, cut ? { ...options, input: `${input.slice(0, cut.index)}kill -KILL $$\n` } : options);
  }

  override async put(...args: Parameters<LocalRemote['put']>): ReturnType<LocalRemote['put']> {
    this.#count();
    return super.put(...args);
  }

  override async write(...args: Parameters<LocalRemote['write']>): ReturnType<LocalRemote['write']> {
    this.#count();
    return super.write(...args);
  }
}

t.test('a deployment that was broken off anywhere is brought to its end by the next one', async (t) => {
  const target = await localTarget(t, 'm-4');
  const remote = new BreakingRemote(join(target.folder, '..'), {});
  let calls = 0;
  for (;;) {
    remote.left = calls;
    const failed = await deployment.deploy({ ...target, remote }).then(
      () => false,
      (error: Error) => {
        if (error.message !== 'the connection broke') throw error;
        return true;
      },
    );
    if (!failed) break;
    calls += 1;
    if (calls > 40) throw new Error('it does not come to an end');
  }
  t.ok(calls >= 3, `it was broken off at ${calls} places`);
  await deployment.wipe(target);
  remote.left = Number.POSITIVE_INFINITY;
  for (remote.statements = 0; ; remote.statements++) {
    const ended = await deployment.deploy({ ...target, remote }).catch((error: Error) => error.message);
    if (typeof ended !== 'string') break;
    t.match(ended, /SIGKILL/);
  }
  t.ok(remote.all > 8 && remote.statements === remote.all, `and within its script at ${remote.all}`);
  t.ok(await (await taskOn(target))());
});

t.test(
  'a port that is taken, a runtime that does not run, a sitter that does not start: one sentence each',
  async (t) => {
    const target = await localTarget(t, 'm-7');
    const other = createServer().listen(target.port, '127.0.0.1');
    await eventually(() => other.listening, 'somebody listens there');
    await t.rejects(deployment.deploy(target), {
      code: 'conflict',
      message: new RegExp(`port ${target.port} is taken there`),
    });
    t.notOk(existsSync(target.folder), 'nothing was brought there for that');
    await new Promise((closed) => other.close(closed));

    // Ports like 40000 are among those that Linux gives to outgoing connections.
    const server = createServer().listen(0, '127.0.0.1');
    await eventually(() => server.listening, 'somebody serves');
    const held = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', localPort: target.port });
    await once(held, 'connect');
    await t.rejects(deployment.deploy(target), {
      code: 'conflict',
      message: `port ${target.port} is taken there by another program; name another port`,
    });
    held.destroy();
    await new Promise((closed) => server.close(closed));

    const broken = join(folder, 'broken-node');
    writeFileSync(broken, '#!/bin/sh\necho "libc.so.6: version GLIBC_2.99 not found" >&2\nexit 1\n', { mode: 0o755 });
    await t.rejects(deploymentOf(packageOf(packageRoot, { [process.arch]: broken })).deploy(target), {
      code: 'unsupported',
      message: /runtime node-.* does not run there: libc\.so\.6/,
    });
    await t.rejects(deployment.deploy({ ...target, settings: { nonsense: 1 } }), {
      code: 'unavailable',
      message: /ends whenever it is started; its last words: .*nonsense: unknown setting/s,
    });
    t.same((await deployment.deploy(target)).changed, true, 'the right settings mend it');
    await t.rejects(
      deploymentOf(packageOf(packageRoot), authority, 1000).deploy({ ...target, address: '127.0.0.9' }),
      { code: 'unavailable', message: /listens on port \d+ there, but .*127\.0\.0\.9:\d+ was not reached.*firewall/ },
      'one that cannot be reached from here is told from one that does not start',
    );
    t.same((await deployment.deploy(target)).changed, false);
  },
);

t.test('an order that is taken back breaks a deployment off', async (t) => {
  const target = await localTarget(t, 'm-9');
  await t.rejects(deployment.deploy({ ...target, signal: AbortSignal.abort() }), { message: /broken off/ });
});
