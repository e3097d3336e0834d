import { readFileSync, statfsSync } from 'node:fs';
import type { HostReading } from '../decide/vitals/host-vitals.ts';

/** Reads what the kernel says of this host, and of the file system that holds `folder`. */
export function readHost(folder: string, time: { now: number; monotonic: number }): HostReading {
  return {
    at: time.now,
    monotonicMs: time.monotonic,
    stat: readProc('stat'),
    meminfo: readProc('meminfo'),
    loadavg: readProc('loadavg'),
    uptime: readProc('uptime'),
    net: readProc('net/dev'),
    pressure: readPressureFiles(),
    disk: diskOf(folder),
  };
}

/** Empty where there is no such file, or a container hides it: that figure is 0 then. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'latin1');
  } catch {
    return '';
  }
}

function readPressureFiles(): HostReading['pressure'] {
  const cpu = readProc('pressure/cpu');
  if (cpu === '') return null;
  return { cpu, memory: readProc('pressure/memory'), io: readProc('pressure/io') };
}

function diskOf(folder: string): HostReading['disk'] {
  try {
    const { bsize, blocks, bfree, bavail } = statfsSync(folder);
    return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, availableBytes: bavail * bsize };
  } catch {
    return { totalBytes: 0, usedBytes: 0, availableBytes: 0 };
  }
}
