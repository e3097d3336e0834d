import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { skipWithoutEtcd, skipWithoutEtcdctl, skipWithoutOpenssl } from '../fakes/etcd-servers.ts';
import { freePort } from '../fakes/free-port.ts';
import { eventually } from './embedded-cluster.ts';

const DOCUMENT = join(packageRoot, 'docs', 'high-availability.md');
const NAMES = ['a', 'b', 'c'] as const;
/** Addresses of this host, in the place of the three hosts' own. */
const ADDRESSES = ['127.0.77.11', '127.0.77.12', '127.0.77.13'] as const;

/** A shell on one of the hosts, in which a person says one block after the other. */
class Shell {
  readonly home: string;
  output = '';
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #said = 0;

  constructor(home: string, programs: string) {
    this.home = home;
    mkdirSync(home);
    const { PATH = '' } = process.env;
    // tap puts loaders of its own into whatever is started from here.
    this.#child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', 'bash', '-e'], {
      cwd: home,
      env: { PATH: `${programs}:${PATH}`, HOME: home, XDG_CONFIG_HOME: join(home, 'config') },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that etcd ends with it.
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (chunk) => {
        this.output += String(chunk);
      });
  }

  get folder(): string {
    return join(this.home, 'cerebro');
  }

  /** Resolves to what was said back; throws when a command failed. */
  async say(block: string): Promise<string> {
    this.#said += 1;
    const end = `-- end of block ${this.#said} --`;
    const from = this.output.length;
    this.#child.stdin.write(`${block}\necho '${end}'\n`);
    await eventually(
      () => this.#child.exitCode !== null || this.output.includes(end),
      () => `a block is done: ${this.output.slice(from)}`,
    );
    if (!this.output.includes(end)) throw new Error(`a command failed: ${this.output.slice(from)}`);
    return this.output.slice(from, this.output.indexOf(end));
  }

  /** Ends what was started from it: etcd as its own child, the cluster sitter by its file. */
  async end(): Promise<void> {
    const pid = this.sitterPid();
    if (pid !== null) process.kill(pid, 'SIGTERM');
    await eventually(() => this.sitterPid() === null, 'the cluster sitter ends');
    const { pid: shell } = this.#child;
    if (shell === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    process.kill(-shell, 'SIGKILL');
    await ended;
  }

  sitterPid(): number | null {
    const file = join(this.folder, 'data', 'sitter.json');
    if (!existsSync(file)) return null;
    const { pid } = JSON.parse(readFileSync(file, 'utf8'));
    return existsSync(`/proc/${pid}`) ? pid : null;
  }
}

/** The document's blocks, each with where it is said (its first line). */
function blocks(): { where: string; text: string }[] {
  const found = [...readFileSync(DOCUMENT, 'utf8').matchAll(/^```sh\n# (on [^\n]+)\n([\s\S]*?)^```$/gm)];
  return found.map(([, where = '', text = '']) => ({ where, text }));
}

t.test('three members of etcd and three cluster sitters, by the very commands of the document', async (t) => {
  if (skipWithoutEtcd(t) || skipWithoutEtcdctl(t) || skipWithoutOpenssl(t)) return;
  const root = mkdtempSync(join(tmpdir(), 'cerebro-ha-'));
  const programs = join(root, 'programs');
  mkdirSync(programs);
  // The other hosts' folders are on this one; and Node runs without the loaders that tap gives to every one.
  const hosts = ADDRESSES.map((address, n) => `${address}:*) to=${join(root, NAMES[n] ?? '')}/\${2#*:} ;;`).join(' ');
  writeFileSync(join(programs, 'scp'), `#!/bin/sh\nset -- "$2" "$3"\ncase "$2" in ${hosts} esac\ncp -r "$1" "$to"\n`);
  chmodSync(join(programs, 'scp'), 0o755);
  const ports = new Map([
    ['2379', await freePort()],
    ['2380', await freePort()],
    ['30000', await freePort()],
  ]);
  const shells = NAMES.map((name) => new Shell(join(root, name), programs));
  t.teardown(async () => {
    for (const shell of shells) await shell.end();
    rmSync(root, { recursive: true, force: true, maxRetries: 30 });
  });
  const [first, , last] = shells;
  if (!first || !last) throw new Error('there are three');

  /** The block as one of these "hosts" needs it: its own name, and the addresses and ports that are free here. */
  const here = (text: string, n: number): string =>
    text
      .replace(/^NAME=a$/m, `NAME=${NAMES[n]}`)
      .replace(/192\.0\.2\.1([123])\b/g, (_, digit) => ADDRESSES[Number(digit) - 1] ?? '')
      // Connections over loopback come from here, whatever address is called; etcd compares that with the certificate.
      .replace('IP:$C"', 'IP:$C,IP:127.0.0.1"')
      .replace('CEREBRO=/opt/cerebro', `CEREBRO=${packageRoot}`)
      .replace(/\b(2379|2380|30000)\b/g, (port) => String(ports.get(port)));
  const url = (n: number): string => `http://${ADDRESSES[n]}:${ports.get('30000')}`;
  const status = async (n: number): Promise<{ leads: boolean; leader: string; jobs: number }> => {
    const token = readFileSync(join(first.folder, 'data', 'admin.token'), 'utf8').trim();
    const answer = await fetch(`${url(n)}/api/v1/status`, { headers: { authorization: `Bearer ${token}` } });
    return (await answer.json()) as { leads: boolean; leader: string; jobs: number };
  };
  const leader = async (): Promise<number> => {
    for (const n of NAMES.keys()) if ((await status(n).catch(() => null))?.leads) return n;
    return -1;
  };

  const all = blocks();
  t.equal(all.length, 7, 'the document has so many blocks of commands');
  let killed = -1;
  for (const { where, text } of all) {
    if (where === 'on each host') {
      // As when somebody goes from one to the next: none waits for another.
      await Promise.all(shells.map((shell, n) => shell.say(here(text, n))));
    } else if (where === 'on the first host') await first.say(here(text, 0));
    else if (where === 'on the last host') {
      const said = await last.say(here(text, 2));
      t.match(said, /web.*created/is, 'the order is taken');
      t.match(said, new RegExp(`stands by \\(${url(await leader())} leads\\)`));
    } else if (where === 'on the one that leads') {
      killed = await leader();
      await shells[killed]?.say(here(text, killed));
    } else if (where === 'on any host') {
      await eventually(async () => (await leader()) >= 0, 'one leads again');
      const said = await first.say(here(text, 0));
      t.match(said, /compacted revision/);
      t.equal(said.match(/Finished defragmenting/g)?.length, NAMES.length, 'each member');
    } else t.fail(`nobody knows where "${where}" is`);
  }
  await eventually(async () => (await leader()) >= 0, 'one leads again');
  t.not(await leader(), killed, 'another one');
  for (const n of NAMES.keys()) {
    const { leads, leader: who, jobs } = await status(n);
    t.equal(leads, n === (await leader()));
    t.equal(who, url(await leader()), 'all name the same');
    t.equal(jobs, 1);
  }
  const tokens = shells.map((shell) => readFileSync(join(shell.folder, 'data', 'admin.token'), 'utf8'));
  t.equal(new Set(tokens).size, 1, 'one token');
});
