import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { eventually } from '../suites/eventually.ts';
import { freePort } from './free-port.ts';
import { skipUnless } from './needs.ts';

const run = promisify(execFile);

function isThere(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** True, and said, where Debian's etcd-server is not installed. */
export function skipWithoutEtcd(t: Test): boolean {
  return skipUnless(t, isThere('etcd'), 'there is no etcd: apt-get install etcd-server');
}

export function skipWithoutEtcdctl(t: Test): boolean {
  return skipUnless(t, isThere('etcdctl'), 'there is no etcdctl: apt-get install etcd-client');
}

export function skipWithoutOpenssl(t: Test): boolean {
  return skipUnless(t, isThere('openssl'), 'there is no openssl: apt-get install openssl');
}

/** A member of a real etcd, mostly its only one, in a folder of its own under /tmp, on free ports of loopback. Whoever makes it removes it. */
export class EtcdServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-etcd-'));
  readonly url: string;
  readonly #peer: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | null = null;

  /** As members know it. */
  readonly #name: string;
  /** Where other members reach it. */
  readonly #reached: string;
  /** Every member, as `--initial-cluster` has it. */
  #cluster: string;

  private constructor(url: string, peer: string, flags: readonly string[], name = 'one', reached = peer) {
    this.#name = name;
    this.#reached = reached;
    this.#cluster = `${name}=${reached}`;
    this.url = url;
    this.#peer = peer;
    this.#flags = flags;
  }

  static async make(flags: readonly string[] = [], scheme = 'http'): Promise<EtcdServer> {
    const [port, peerPort] = [await freePort(), await freePort()];
    return new EtcdServer(`${scheme}://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`, flags);
  }

  /** Several members of one cluster, started. `reach`: by which port the others are to reach the member whose peer port is given. */
  static async startCluster(size: number, reach?: (peerPort: number) => Promise<number>): Promise<EtcdServer[]> {
    const members: EtcdServer[] = [];
    for (let n = 0; n < size; n++) {
      const peerPort = await freePort();
      const reached = `http://127.0.0.1:${(await reach?.(peerPort)) ?? peerPort}`;
      const url = `http://127.0.0.1:${await freePort()}`;
      members.push(new EtcdServer(url, `http://127.0.0.1:${peerPort}`, [], `member-${n}`, reached));
    }
    const cluster = members.map((member) => member.#cluster).join(',');
    for (const member of members) member.#cluster = cluster;
    await Promise.all(members.map((member) => member.start()));
    return members;
  }

  static async start(flags: readonly string[] = []): Promise<EtcdServer> {
    const server = await EtcdServer.make(flags);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const flags = [
      ['--name', this.#name],
      ['--data-dir', join(this.folder, 'data')],
      ['--listen-client-urls', this.url],
      ['--advertise-client-urls', this.url],
      ['--listen-peer-urls', this.#peer],
      ['--initial-advertise-peer-urls', this.#reached],
      ['--initial-cluster', this.#cluster],
    ].flat();
    const child = spawn('etcd', [...flags, ...this.#flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    this.#child = child;
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}: ${said}`);
      return /serving (insecure )?client requests/.test(said);
    }, `etcd serves ${this.url}`);
  }

  /** null: it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** As a power cut; what it acknowledged is on the disk. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  /** Asks etcd itself, past the store. */
  async ask(path: string, body: object, token?: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      ...(token !== undefined && { headers: { authorization: token } }),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Forgets all changes before the newest revision. */
  async compact(): Promise<void> {
    const { header } = (await this.ask('/v3/kv/range', { key: 'AA==' })) as { header: { revision: string } };
    await this.ask('/v3/kv/compaction', { revision: header.revision });
  }

  async alarm(action: 'ACTIVATE' | 'DEACTIVATE'): Promise<void> {
    await this.ask('/v3/maintenance/alarm', { action, alarm: 'NOSPACE' });
  }
}

/** An authority, and certificates for etcd and for its client: PEM files `ca`, `server` and `client` (`.pem`, `.key`) in `folder`. */
export async function makeCertificates(folder: string): Promise<void> {
  const file = (name: string): string => join(folder, name);
  const make = (name: string, ...more: string[]): Promise<unknown> =>
    run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`), ...more],
    ]);
  await make('ca');
  const leaf = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE'];
  await make('server', ...leaf, '-addext', 'subjectAltName=IP:127.0.0.1');
  await make('client', ...leaf);
}
