import type { HostVitals } from '../../model/vitals.ts';
import {
  type CpuTicks,
  type MemoryBytes,
  readCpuTicks,
  readLoad,
  readMemory,
  readNetwork,
  readPressure,
} from './read-proc.ts';

/** The files of /proc as they were at one moment, and what the file system said. */
export interface HostReading {
  /** Milliseconds since the epoch, and monotonic ones. */
  at: number;
  monotonicMs: number;
  stat: string;
  meminfo: string;
  loadavg: string;
  uptime: string;
  net: string;
  /** null where the kernel has no such file. */
  pressure: { cpu: string; memory: string; io: string } | null;
  disk: HostVitals['disk'];
}

/** What a host did between two readings. Counters that went back (a core or an interface came new) count as nothing. */
export function hostVitalsBetween(before: HostReading, after: HostReading): HostVitals {
  const seconds = Math.max(0, after.monotonicMs - before.monotonicMs) / 1000;
  const memory = readMemory(after.meminfo);
  const { pressure } = after;
  return {
    at: new Date(after.at).toISOString(),
    seconds: rounded(seconds),
    uptimeSeconds: Math.floor(Number.parseFloat(after.uptime) || 0),
    cpu: cpuBetween(before.stat, after.stat),
    memory: { ...usedOf(memory), swapTotalBytes: memory.swapTotalBytes, swapUsedBytes: swapUsed(memory) },
    load: readLoad(after.loadavg),
    disk: after.disk,
    network: networkBetween(before.net, after.net, seconds),
    pressure: pressure && {
      cpu: readPressure(pressure.cpu),
      memory: readPressure(pressure.memory),
      io: readPressure(pressure.io),
    },
  };
}

function cpuBetween(before: string, after: string): HostVitals['cpu'] {
  const old = readCpuTicks(before);
  const now = readCpuTicks(after);
  const perCore = [...now.cores].map(([name, ticks]) => busyShare(old.cores.get(name), ticks));
  const total = now.all.total - old.all.total;
  const part = (key: 'waiting' | 'stolen'): number =>
    total <= 0 ? 0 : rounded(clamp((now.all[key] - old.all[key]) / total));
  return {
    cores: perCore.length,
    used: rounded(perCore.reduce((sum, share) => sum + share, 0)),
    perCore,
    waiting: part('waiting'),
    stolen: part('stolen'),
  };
}

function busyShare(before: CpuTicks | undefined, after: CpuTicks): number {
  const total = after.total - (before?.total ?? 0);
  return total <= 0 ? 0 : rounded(clamp((after.busy - (before?.busy ?? 0)) / total));
}

function usedOf(memory: MemoryBytes): Pick<HostVitals['memory'], 'totalBytes' | 'usedBytes' | 'availableBytes'> {
  const { totalBytes, availableBytes } = memory;
  return { totalBytes, availableBytes, usedBytes: Math.max(0, totalBytes - availableBytes) };
}

function swapUsed({ swapTotalBytes, swapFreeBytes }: MemoryBytes): number {
  return Math.max(0, swapTotalBytes - swapFreeBytes);
}

function networkBetween(before: string, after: string, seconds: number): HostVitals['network'] {
  const old = readNetwork(before);
  const now = readNetwork(after);
  const rate = (bytes: number): number => (seconds <= 0 ? 0 : Math.round(Math.max(0, bytes) / seconds));
  return {
    receivedRate: rate(now.receivedBytes - old.receivedBytes),
    sentRate: rate(now.sentBytes - old.sentBytes),
  };
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
