import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

const FOLLOWERS = 1000;
const SLOW = 20;
const LINES = 200;
const MB = 1024 * 1024;
/** More than the kernel's own buffers between the two take in. */
const LOG_BYTES = 24 * MB;

/** Follows a log over a socket, without more of HTTP than a head; what came is counted, and kept as long as it is short. */
class Follower {
  readonly #socket: Socket;
  bytes = 0;
  head = '';
  text = '';

  constructor(url: URL, token: string, task: string) {
    this.#socket = connect(Number(url.port), url.hostname);
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', (chunk) => this.#take(chunk.toString('latin1')));
    this.#socket.write(`GET /logs/${task}?follow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  }

  get open(): boolean {
    return this.head.startsWith('HTTP/1.1 200');
  }

  /** Its lines, without the lengths of HTTP's chunks. */
  get lines(): string[] {
    return this.text.split('\n').filter((line) => line.startsWith('line'));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    let rest = text;
    if (!this.head.includes('\r\n\r\n')) {
      const end = text.indexOf('\r\n\r\n');
      this.head += end < 0 ? text : text.slice(0, end + 4);
      rest = end < 0 ? '' : text.slice(end + 4);
    }
    this.bytes += rest.length;
    if (this.text.length < MB) this.text += rest;
  }
}

const rss = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;

t.test(`${FOLLOWERS} followers get every line once, and slow ones cost next to nothing`, async (t) => {
  const daemon = new MachineDaemon();
  await daemon.start();
  t.teardown(() => daemon.remove());
  const url = new URL(JSON.parse(readFileSync(join(daemon.folder, 'sitter.json'), 'utf8')).url);
  const token = readFileSync(join(daemon.folder, 'admin.token'), 'utf8').trim();
  const wait = (file: string): string => `until [ -e ${file} ]; do sleep 0.05; done`;
  const lines = `for i in $(seq ${LINES}); do echo "line $i"; done`;
  await daemon.add('crowd', { command: `${wait('go')}; ${lines}; exec sleep 1000`, cwd: daemon.folder });
  const much = `yes 'some words that fill a line of a log, again and again' | head -c ${LOG_BYTES}; echo; echo the end`;
  await daemon.add('much', { command: `${wait('go-on')}; ${much}; exec sleep 1000`, cwd: daemon.folder });
  await eventually(
    async () => [...(await daemon.tasks()).values()].every(({ phase }) => phase === 'running'),
    'both run',
  );
  const before = rss(daemon.pid);

  const followers = Array.from({ length: FOLLOWERS }, () => new Follower(url, token, 'crowd'));
  await eventually(() => followers.every(({ open }) => open), 'all follow');
  const waiting = rss(daemon.pid) - before;
  t.equal((await daemon.tasks()).size, 2, 'and the daemon answers others');
  writeFileSync(join(daemon.folder, 'go'), '');
  await eventually(() => followers.every(({ lines }) => lines.length >= LINES), 'every line is at every follower');
  t.ok(
    followers.every(({ lines }) => lines.length === LINES && lines.at(-1) === `line ${LINES}`),
    'and once',
  );
  for (const follower of followers) follower.close();
  t.comment(`${FOLLOWERS} followers that wait take ${Math.round(waiting / MB)} MB`);
  t.ok(waiting < FOLLOWERS * 0.1 * MB, `${Math.round(waiting / MB)} MB for ${FOLLOWERS} that wait`);

  const slow = Array.from({ length: SLOW }, () => new Follower(url, token, 'much'));
  await eventually(() => slow.every(({ open }) => open), 'the slow ones follow');
  for (const follower of slow) follower.pause();
  const quick = new Follower(url, token, 'much');
  await eventually(() => quick.open, 'a quick one follows');
  const idle = rss(daemon.pid);
  writeFileSync(join(daemon.folder, 'go-on'), '');
  await eventually(() => quick.bytes >= LOG_BYTES, 'the quick one has it all');
  const held = rss(daemon.pid) - idle;
  t.comment(`${SLOW} followers that stand still before ${LOG_BYTES / MB} MB take ${Math.round(held / MB)} MB`);
  t.ok(held < (SLOW * LOG_BYTES) / 4, `${Math.round(held / MB)} MB for ${SLOW} that do not read`);
  for (const follower of slow) follower.resume();
  await eventually(() => slow.every(({ bytes }) => bytes >= LOG_BYTES), 'in their own time they get it all');
  for (const follower of [...slow, quick]) follower.close();
});
