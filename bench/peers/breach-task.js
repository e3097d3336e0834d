// What breach-section.ts measures: it takes memory until just below a limit, waits, tells the time, and then takes in one go
// what is far beyond the limit. Times are of the monotonic clock, which is the same one in all processes.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const MB = 1024 * 1024;
const [, , name, marks, below, beyond, waitMs] = process.argv;
const held = [];

function residentBytes() {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]) * 1024;
}

function growTo(megabytes) {
  const missing = megabytes * MB - residentBytes();
  // Filled with something: a page of zeros is none until it is written to.
  if (missing > 0) held.push(Buffer.allocUnsafeSlow(missing).fill(1));
}

growTo(Number(below));
await sleep(Number(waitMs) + Math.random() * 200);
appendFileSync(marks, `${name} ${process.pid} ${process.hrtime.bigint()}\n`);
growTo(Number(beyond));
await sleep(1_000_000);
