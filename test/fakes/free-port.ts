import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below what a kernel gives to outgoing connections: one of those could take a port between our finding it and its use. */
const FIRST = 10_000;
const COUNT = 20_000;
const CLAIMS = join(tmpdir(), 'cerebro-test-ports');

const claimed = new Set<string>();

/** A TCP port of 127.0.0.1 that nobody else gets from here before this process has ended, used or not. */
export async function freePort(): Promise<number> {
  mkdirSync(CLAIMS, { recursive: true });
  const start = Math.floor(Math.random() * COUNT); // so that processes at once seldom try the same
  for (let n = 0; n < COUNT; n++) {
    const port = FIRST + ((start + n) % COUNT);
    if (claim(port) && (await isFree(port))) return port;
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} of 127.0.0.1 is free`);
}

function claim(port: number): boolean {
  const file = join(CLAIMS, String(port));
  if (isHeld(file)) return false;
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    return false; // another process was faster
  }
  if (claimed.size === 0) process.once('exit', release);
  claimed.add(file);
  return true;
}

/** A claim of a process that is gone is taken away. */
function isHeld(file: string): boolean {
  let holder: number;
  try {
    holder = Number(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
  try {
    process.kill(holder, 0);
    return true;
  } catch {
    rmSync(file, { force: true });
    return false;
  }
}

function release(): void {
  for (const file of claimed) rmSync(file, { force: true });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
