import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../fakes/free-port.ts';
import { eventually } from '../suites/eventually.ts';

const run = promisify(execFile);
/** Where Debian puts servers, which is not on everybody's PATH. */
const PLACES = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

export interface ServerKey {
  name: string;
  algorithm: 'hmac-sha256' | 'hmac-sha512';
  secret: string;
}

/** What a kind of server needs to be told. */
export interface ServerSetup {
  folder: string;
  port: number;
  key: ServerKey;
  /** Zones that the key may update and transfer. */
  zones: readonly string[];
  /** A zone that the key may transfer and not update. */
  locked: string;
  /** A zone that the key may update and not transfer. */
  closed: string;
}

export interface ServerKind {
  name: string;
  program: string;
  /** The Debian packages. */
  packages: string;
  /** Writes its files and gives the arguments that it is started with. */
  prepare(setup: ServerSetup): Promise<string[]>;
}

export function programPath(name: string): string | null {
  for (const place of PLACES) {
    try {
      accessSync(join(place, name), constants.X_OK);
      return join(place, name);
    } catch {
      // Not in this place.
    }
  }
  return null;
}

/** A real DNS server as a plain process, with its files in a folder that goes when it does. */
export class RealDnsServer {
  readonly host = '127.0.0.1';
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-dns-'));
  readonly key: ServerKey;
  readonly keyFile = join(this.folder, 'tsig.key');
  readonly locked = 'locked.test';
  readonly closed = 'closed.test';
  port = 0;
  readonly #kind: ServerKind;
  readonly #zones: readonly string[];
  #args: string[] = [];
  #child: ChildProcess | null = null;

  constructor(kind: ServerKind, zones: readonly string[], algorithm: ServerKey['algorithm']) {
    this.#kind = kind;
    this.#zones = zones;
    this.key = { name: 'cerebro-key', algorithm, secret: randomBytes(32).toString('base64') };
    const { name, secret } = this.key;
    writeFileSync(this.keyFile, `key "${name}" {\n\talgorithm ${algorithm};\n\tsecret "${secret}";\n};\n`, {
      mode: 0o600,
    });
  }

  async start(): Promise<void> {
    this.port = await freePort();
    this.#args = await this.#kind.prepare({
      folder: this.folder,
      port: this.port,
      key: this.key,
      zones: this.#zones,
      locked: this.locked,
      closed: this.closed,
    });
    await this.resume();
  }

  /** Starts the process again, with what it kept. */
  async resume(): Promise<void> {
    if (this.#child) return;
    const child = spawn(programPath(this.#kind.program) ?? this.#kind.program, this.#args, {
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    this.#child = child;
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${this.#kind.name} ended at once: ${log}`);
      return (await this.dig(this.#zones[0] ?? '', 'SOA')).length > 0;
    }, `${this.#kind.name} answers`);
  }

  /** As a crash. */
  async crash(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async remove(): Promise<void> {
    await this.crash();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  /** The records that `dig` shows as the answer. */
  async dig(name: string, type: string): Promise<{ name: string; ttl: number; type: string; value: string }[]> {
    const args = [
      '@127.0.0.1',
      '-p',
      String(this.port),
      '+noall',
      '+answer',
      '+norecurse',
      '+time=2',
      '+tries=2',
      name,
      type,
    ];
    const { stdout } = await run('dig', args).catch(() => ({ stdout: '' }));
    return stdout.split('\n').flatMap((line) => {
      const match = /^(\S+)\s+(\d+)\s+IN\s+(\S+)\s+(.*)$/.exec(line);
      return match
        ? [{ name: match[1] ?? '', ttl: Number(match[2]), type: match[3] ?? '', value: match[4] ?? '' }]
        : [];
    });
  }

  /** Lets `nsupdate`, the other side's own client, make an update. */
  async nsupdate(...lines: string[]): Promise<void> {
    const script = join(this.folder, `update-${randomBytes(4).toString('hex')}`);
    writeFileSync(script, [`server 127.0.0.1 ${this.port}`, ...lines, 'send', ''].join('\n'));
    await run('nsupdate', ['-k', this.keyFile, script]);
  }

  /** A file for a key that the server does not have so. */
  otherKeyFile(change: Partial<ServerKey>): string {
    const { name, algorithm, secret } = { ...this.key, ...change };
    const path = join(this.folder, `other-${randomBytes(4).toString('hex')}.key`);
    writeFileSync(path, `${algorithm}:${name}:${secret}\n`, { mode: 0o600 });
    return path;
  }

  read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }
}

/** A text as dig writes it: quoted pieces, with escapes. */
export function textOf(value: string): string {
  return [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)]
    .map((match) =>
      (match[1] ?? '').replace(/\\(\d{3}|.)/g, (_, c: string) => (c.length === 3 ? String.fromCharCode(Number(c)) : c)),
    )
    .join('');
}

/** Of TCP; the servers use the same by UDP, where few others are. */
