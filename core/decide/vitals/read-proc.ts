import type { Pressure } from '../../model/vitals.ts';

/** Processor time in clock ticks since boot, of one core or of all. */
export interface CpuTicks {
  busy: number;
  total: number;
  /** Idle because a disk was waited for. */
  waiting: number;
  /** Taken away by the hypervisor. */
  stolen: number;
}

/** /proc/stat: all cores together, and each. A core that was taken offline is not listed. */
export function readCpuTicks(text: string): { all: CpuTicks; cores: Map<string, CpuTicks> } {
  const cores = new Map<string, CpuTicks>();
  let all: CpuTicks = { busy: 0, total: 0, waiting: 0, stolen: 0 };
  for (const line of text.split('\n')) {
    if (!line.startsWith('cpu')) continue;
    const [name = '', ...fields] = line.trim().split(/\s+/);
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields.map(number);
    // guest and guest_nice, which follow, are in user and nice already.
    const busy = user + nice + system + irq + softirq;
    const ticks = { busy, total: busy + idle + iowait + steal, waiting: iowait, stolen: steal };
    if (name === 'cpu') all = ticks;
    else cores.set(name, ticks);
  }
  return { all, cores };
}

export interface MemoryBytes {
  totalBytes: number;
  availableBytes: number;
  swapTotalBytes: number;
  swapFreeBytes: number;
}

/** /proc/meminfo. */
export function readMemory(text: string): MemoryBytes {
  const bytes = (name: string): number | undefined => {
    const kb = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
    return kb === undefined ? undefined : Number(kb) * 1024;
  };
  const free = (bytes('MemFree') ?? 0) + (bytes('Buffers') ?? 0) + (bytes('Cached') ?? 0);
  return {
    totalBytes: bytes('MemTotal') ?? 0,
    // Before Linux 3.14 the kernel made no estimate of its own.
    availableBytes: bytes('MemAvailable') ?? free,
    swapTotalBytes: bytes('SwapTotal') ?? 0,
    swapFreeBytes: bytes('SwapFree') ?? 0,
  };
}

/** /proc/loadavg: the averages over one, five and fifteen minutes. */
export function readLoad(text: string): { one: number; five: number; fifteen: number } {
  const [one = 0, five = 0, fifteen = 0] = text.split(/\s+/, 3).map(number);
  return { one, five, fifteen };
}

/** /proc/net/dev: bytes over all interfaces but loopback. The colon after a name may have a number right behind it. */
export function readNetwork(text: string): { receivedBytes: number; sentBytes: number } {
  const sum = { receivedBytes: 0, sentBytes: 0 };
  for (const line of text.split('\n')) {
    const [, name, rest] = /^\s*([^\s|]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || name === 'lo') continue;
    const fields = rest.trim().split(/\s+/).map(number);
    sum.receivedBytes += fields[0] ?? 0;
    sum.sentBytes += fields[8] ?? 0;
  }
  return sum;
}

/** A file of /proc/pressure; shares of the last ten seconds. The kernel's cpu file had no line `full` before Linux 5.13. */
export function readPressure(text: string): Pressure {
  const share = (kind: string): number => number(new RegExp(`^${kind} avg10=([\\d.]+)`, 'm').exec(text)?.[1]) / 100;
  return { some: share('some'), full: share('full') };
}

function number(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) ? value : 0;
}
