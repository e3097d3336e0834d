/**
 * From nothing to running on many hosts at once: each is an sshd of its own on loopback, gets a machine sitter with its Node runtime and a
 * release, and runs a task from it. The floor is the same bytes brought by scp, to all hosts at once; beside it stands what the hosts do by
 * themselves, which here is done by one: unpacking, and as many machine sitters that start at once. Then all of it once more with nothing to do.
 *
 * DEPLOY_HOSTS (20), DEPLOY_RUNS (3), DEPLOY_RELEASE_MB (10).
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../core/engine/package-root.ts';
import { SystemClock } from '../core/engine/system-clock.ts';
import { HostKeyPins } from '../providers/remotes/host-key-pins.ts';
import { SshConnections } from '../providers/remotes/ssh-connections.ts';
import { sshAccess, sshTarget } from '../providers/remotes/ssh-target.ts';
import { BuiltinRecipeLoader } from '../recipes/builtin/builtin-recipe-loader.ts';
import { MachineSitterDeployment, type SitterTarget } from '../recipes/machine-sitter/machine-sitter-deployment.ts';
import { SitterPackage } from '../recipes/machine-sitter/sitter-package.ts';
import { freePort } from '../test/fakes/free-port.ts';
import { silentLogger } from '../test/fakes/silent-logger.ts';
import { type SshdHost, SshdHosts } from '../test/fakes/sshd-hosts.ts';
import { definition } from '../test/machine/machine-under-test.ts';
import { clientWith, TestAuthority } from '../test/tls/machine-with-certificate.ts';
import { inFolder, pause, until } from './bench-daemon.ts';
import { report, type Series } from './bench-report.ts';

const HOSTS = Number(process.env.DEPLOY_HOSTS ?? 20);
const RUNS = Number(process.env.DEPLOY_RUNS ?? 3);
const RELEASE_MB = Number(process.env.DEPLOY_RELEASE_MB ?? 10);

const run = promisify(execFile);

interface Target extends SitterTarget {
  host: string;
  folder: string;
  port: number;
  sshd: SshdHost;
}

/** How long something takes, in milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A tarball with a program, and with bytes that cannot be packed any smaller. */
function makeRelease(folder: string): void {
  const files = join(folder, 'files');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, 'run'), '#!/bin/sh\n: >"$1"\nexec sleep 1000\n', { mode: 0o755 });
  writeFileSync(join(files, 'bytes'), randomBytes(RELEASE_MB * 1_000_000));
  execFileSync('tar', ['-czf', join(folder, 'web-1.0.tar.gz'), '-C', files, '.']);
}

const authority = await TestAuthority.create();
const { client } = clientWith(() => authority.issue({ kind: 'cluster-sitter' }));
const hosts = await SshdHosts.start(HOSTS);
const connections = new SshConnections(new HostKeyPins(join(hosts.folder, 'pins', 'known_hosts')));
const result = await inFolder(async (folder) => {
  makeRelease(folder);
  const pack = new SitterPackage({
    cache: join(folder, 'cache'),
    selfCommand: ['node', join(packageRoot, 'dist/core/main.js')],
  });
  const deployment = new MachineSitterDeployment({
    package: pack,
    identities: { issue: (id) => authority.machine(id), greet: (id, endpoint) => client.greet({ id, endpoint }) },
    clock: new SystemClock(),
  });
  const packer = await pack.packer(true); // all hosts are this one
  const packages = [await pack.runtime(process.arch, packer), await pack.program(packer)].map(({ path }) => path);
  const files = [...packages, join(folder, 'web-1.0.tar.gz')];
  const targets = await Promise.all(
    hosts.hosts.map(async (sshd, n): Promise<Target> => {
      const access = sshAccess.parse({ user: sshd.user, port: sshd.port, keys: [hosts.key] });
      return {
        remote: connections.remote(sshTarget('127.0.0.1', access)),
        machineId: `bench-${n + 1}`,
        address: '127.0.0.1',
        host: '127.0.0.1',
        port: await freePort(),
        folder: join(sshd.home, 'sitter'),
        asRoot: process.getuid?.() === 0,
        service: 'plain',
        sshd,
      };
    }),
  );
  const onAll = (work: (target: Target) => Promise<unknown>): Promise<number> =>
    timed(() => Promise.all(targets.map(work)));

  const loader = new BuiltinRecipeLoader();
  const release = async ({ remote, machineId, address }: Target): Promise<void> => {
    const { signal } = new AbortController();
    const machine = { id: machineId, zone: 'ssh-bench', address };
    const about = { version: '1.0', job: 'web', copy: 'web.1', machine };
    const options = { release_dir: folder };
    const recipe = await loader.load('release', options);
    await recipe?.({ remote, options, ...about, logger: silentLogger, signal }).runDeploy();
  };
  const start = async ({ machineId, port, sshd }: Target): Promise<void> => {
    const mark = join(sshd.home, 'runs');
    const command = `exec ${sshd.home}/releases/web/current/run ${mark}`;
    await client.putTask(
      { id: machineId, endpoint: `https://127.0.0.1:${port}` } as never,
      definition('web', { command }),
    );
    await until('the task runs', () => existsSync(mark) || undefined, 5, 60_000);
  };
  const scp = async ({ sshd }: Target): Promise<void> => {
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'LogLevel=ERROR',
      'IdentitiesOnly=yes',
    ];
    const flags = [...options.flatMap((option) => ['-o', option]), '-i', hosts.key, '-P', String(sshd.port)];
    mkdirSync(join(sshd.home, 'scp'), { recursive: true });
    await run('scp', ['-q', '-O', ...flags, ...files, `${sshd.user}@127.0.0.1:${sshd.home}/scp/`]);
  };
  /** What a host does by itself with what was brought: all hosts are this one, so it is a part of the floor here. */
  const unpack = async ({ sshd }: Target): Promise<void> => {
    for (const [n, file] of files.entries()) {
      mkdirSync(join(sshd.home, 'scp', String(n)));
      await run('tar', ['-xf', join(sshd.home, 'scp', basename(file)), '-C', join(sshd.home, 'scp', String(n))]);
    }
  };
  /** The machine sitters of before, from their files: what it costs that so many start at once on this host. */
  const startAgain = async (target: Target): Promise<void> => {
    const { pid } = JSON.parse(readFileSync(join(target.folder, 'data', 'sitter.json'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await until('its sitter is back', () => answers(target), 50, 120_000);
  };
  const answers = async ({ machineId, port }: Target): Promise<true | undefined> => {
    try {
      await client.greet({ id: machineId, endpoint: `https://127.0.0.1:${port}` });
      return true;
    } catch {
      return undefined;
    }
  };

  const floor: number[] = [];
  const unpacked: number[] = [];
  const fromNothing: number[] = [];
  const starts: number[] = [];
  const again: number[] = [];
  const releaseAgain: number[] = [];
  try {
    for (let i = 0; i < RUNS; i++) {
      floor.push(await onAll(scp));
      unpacked.push(await onAll(unpack));
      await onAll(async ({ sshd }) => rmSync(join(sshd.home, 'scp'), { recursive: true }));
      fromNothing.push(
        await onAll(async (target) => {
          await deployment.deploy(target);
          await release(target);
          await start(target);
        }),
      );
      for (const target of targets) {
        again.push(await timed(() => deployment.deploy(target)));
        releaseAgain.push(await timed(() => release(target)));
      }
      await pause(500);
      starts.push(await onAll(startAgain));
      await onAll((target) => deployment.wipe(target));
      await onAll(async ({ sshd }) => rmSync(join(sshd.home, 'releases'), { recursive: true }));
      await onAll(async ({ sshd }) => rmSync(join(sshd.home, 'runs'), { force: true }));
    }
  } finally {
    await Promise.allSettled(targets.map((target) => deployment.wipe(target)));
  }
  const both = starts.map((ms, i) => ms + (floor[i] ?? 0) + (unpacked[i] ?? 0));
  const FLOOR = 'scp of the same bytes, all at once (floor)';
  const FLOORS = 'scp, tar and the starts, one after the other';
  const series: Series[] = [
    { name: FLOOR, ms: floor },
    { name: 'tar of what was brought, all at once', ms: unpacked },
    { name: 'machine sitters started again, all at once', ms: starts },
    { name: FLOORS, ms: both },
    { name: 'from nothing to running, all at once', ms: fromNothing, against: FLOOR },
    { name: '  the same', ms: fromNothing, against: FLOORS },
    { name: 'unchanged: machine sitter, one host', ms: again },
    { name: 'unchanged: release, one host', ms: releaseAgain },
  ];
  return { series, megabytes: files.reduce((sum, file) => sum + readFileSync(file).length, 0) / 1e6 };
}).finally(async () => {
  connections.close();
  await client.close();
  await hosts.remove();
});
report('deployment over SSH', result.series, {
  hosts: HOSTS,
  runs: RUNS,
  megabytesForEach: Math.round(result.megabytes),
});
