import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { eventually } from '../suites/eventually.ts';
import { freePort } from './free-port.ts';
import { skipUnless } from './needs.ts';

const run = promisify(execFile);
const SSHD = '/usr/sbin/sshd';

/** True, and said, where Debian's openssh-server is not installed. */
export function skipWithoutSshd(t: Test): boolean {
  return skipUnless(t, existsSync(SSHD), 'there is no /usr/sbin/sshd: apt-get install openssh-server openssh-client');
}

/** One "host": an sshd of its own on a loopback port, with its own host key and its own folder as every login's home. */
export class SshdHost {
  readonly address = '127.0.0.1';
  readonly port: number;
  readonly user = userInfo().username;
  /** What logins find as their home. */
  readonly home: string;
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;

  constructor(folder: string, port: number, env: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.home = join(folder, 'home');
    this.port = port;
    this.#env = env;
  }

  /** `ssh-ed25519 AAAA…` */
  get hostKey(): string {
    return readFileSync(join(this.folder, 'host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ').trim();
  }

  /** One that has just been stopped may hold its port for a moment still. */
  async start(): Promise<void> {
    await eventually(() => this.#listens(), `sshd listens on port ${this.port}`);
  }

  /** false: somebody has the port. */
  async #listens(): Promise<boolean> {
    const child = spawn(SSHD, ['-D', '-e', '-f', join(this.folder, 'sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', ...this.#env },
    });
    this.#child = child;
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    let taken = false;
    let ended = false;
    child.once('close', () => {
      ended = true; // all that it said is here by then
    });
    await eventually(() => {
      taken = ended && said.includes('Address already in use');
      if (ended && !taken) throw new Error(`sshd ended with ${child.exitCode}: ${said}`);
      return taken || said.includes('Server listening');
    }, `sshd starts on port ${this.port}`);
    return !taken;
  }

  /** As a power cut for SSH: no new login, and those that are there are ended. What they started runs on. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Stopped first: a login that is let in after our look would keep the port.
    child.kill('SIGSTOP');
    for (const pid of connectionsOf(child.pid ?? 0)) kill(pid);
    child.kill('SIGKILL');
    await ended;
  }

  /** A new host key, as after a new installation; it is in force from the next start on. */
  async changeHostKey(type = 'ed25519'): Promise<void> {
    await makeKey(join(this.folder, 'host_key'), type);
  }
}

/** Several hosts, and a key that opens all of them. Whoever makes them removes them. */
export class SshdHosts {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-sshd-'));
  /** The private key that every host accepts, and one that none does. */
  readonly key = join(this.folder, 'user_key');
  readonly wrongKey = join(this.folder, 'wrong_key');
  readonly hosts: SshdHost[] = [];

  /** `env`: what every login has in its environment. */
  static async start(count: number, env: Readonly<Record<string, string>> = {}): Promise<SshdHosts> {
    const made = new SshdHosts();
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 }); // sshd wants it, and does not make it
    await Promise.all([makeKey(made.key), makeKey(made.wrongKey)]);
    for (let n = 0; n < count; n++) await made.add(env);
    return made;
  }

  async add(env: Readonly<Record<string, string>> = {}): Promise<SshdHost> {
    const folder = join(this.folder, `host-${this.hosts.length + 1}`);
    const host = new SshdHost(folder, await freePort(), env);
    mkdirSync(host.home, { recursive: true });
    await host.changeHostKey();
    writeFileSync(join(folder, 'enter'), ENTER.replaceAll('HOME_FOLDER', host.home), { mode: 0o755 });
    writeFileSync(
      join(folder, 'sshd_config'),
      [
        `ListenAddress 127.0.0.1:${host.port}`,
        `HostKey ${join(folder, 'host_key')}`,
        `AuthorizedKeysFile ${this.key}.pub`,
        `ForceCommand ${join(folder, 'enter')}`,
        'PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 200',
        'Subsystem sftp internal-sftp',
        // sshd takes only the first SetEnv. HOME here keeps the login shell from the files of whoever runs the tests.
        `SetEnv ${Object.entries({ HOME: host.home, ...env })
          .map(([name, value]) => `${name}=${value}`)
          .join(' ')}`,
      ].join('\n'),
    );
    await host.start();
    this.hosts.push(host);
    return host;
  }

  async remove(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }
}

/** Every login's way in: all hosts are this one, so their homes are what tells them apart. */
const ENTER = `#!/bin/sh
HOME='HOME_FOLDER'
export HOME
cd "$HOME" || exit 1
exec /bin/sh -c "\${SSH_ORIGINAL_COMMAND:-exec /bin/sh}"
`;

async function makeKey(path: string, type = 'ed25519'): Promise<void> {
  rmSync(path, { force: true });
  rmSync(`${path}.pub`, { force: true });
  await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test', '-f', path]);
}

/** The sshd processes of its connections; what logins have started has other names. */
function connectionsOf(listener: number): number[] {
  const all = new ProcTable().scan().filter(({ pid }) => commandOf(pid).startsWith('sshd'));
  const found = new Set([listener]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, ppid } of all) {
      if (found.has(pid) || !found.has(ppid)) continue;
      found.add(pid);
      grown = true;
    }
  }
  found.delete(listener);
  return [...found];
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}
