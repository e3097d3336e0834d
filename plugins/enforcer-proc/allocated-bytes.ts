import { readFileSync } from 'node:fs';

let pageSize: number | undefined;

/**
 * How many bytes of memory the kernel has handed out since boot, all processes and the page cache together; it only grows.
 * Between two readings no process can have grown by more than the difference (but for file pages that were in the cache already).
 * NaN where the kernel does not tell: then nothing may be concluded.
 */
export function allocatedBytes(): number {
  let pages = 0;
  let found = false;
  try {
    pageSize ??= readPageSize();
    for (const line of readFileSync('/proc/vmstat', 'latin1').split('\n')) {
      if (!line.startsWith('pgalloc_')) continue;
      pages += Number(line.slice(line.indexOf(' ') + 1));
      found = true;
    }
  } catch {
    return Number.NaN; // hidden from us, as some containers do
  }
  return found ? pages * pageSize : Number.NaN;
}

function readPageSize(): number {
  const match = /^KernelPageSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps', 'latin1'));
  return match ? Number(match[1]) * 1024 : 4096;
}
