import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import type { ProcessInfo, ProcessTable } from '../contracts/process-table.ts';

/** The process table of a Linux host, read from /proc. */
export class ProcTable implements ProcessTable {
  readonly bootId: string;

  constructor() {
    this.bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  }

  uptime(): number {
    return Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));
  }

  parse(line: string): ProcessInfo | undefined {
    return parseStat(line);
  }

  read(pid: number): ProcessInfo | undefined {
    const line = readProc(`/proc/${pid}/stat`);
    return line === undefined ? undefined : parseStat(line);
  }

  scan(): ProcessInfo[] {
    return this.pids().flatMap((pid) => this.read(pid) ?? []);
  }

  pids(): number[] {
    const pids: number[] = [];
    for (const name of readdirSync('/proc')) {
      const first = name.charCodeAt(0);
      if (first >= 48 && first <= 57) pids.push(Number(name));
    }
    return pids;
  }

  lastPid(): number {
    const text = readFileSync('/proc/loadavg', 'latin1');
    return Number(text.slice(text.lastIndexOf(' ') + 1));
  }

  environment(pid: number, name: string): string | null | undefined {
    const text = readProc(`/proc/${pid}/environ`);
    if (text === undefined) return undefined;
    if (text === '') return null;
    const needle = `${name}=`;
    const start = text.startsWith(needle) ? 0 : text.indexOf(`\0${needle}`) + 1;
    if (start === 0 && !text.startsWith(needle)) return undefined;
    const end = text.indexOf('\0', start);
    return text.slice(start + needle.length, end < 0 ? undefined : end);
  }
}

/** One line of /proc/PID/stat. The command in it may hold spaces and brackets, so fields are counted from its last one. */
function parseStat(line: string): ProcessInfo | undefined {
  const end = line.lastIndexOf(')');
  const pid = Number.parseInt(line, 10);
  const rest = line.slice(end + 2).split(' ');
  const startTime = Number(rest[19]);
  if (end < 0 || !Number.isInteger(pid) || !Number.isFinite(startTime)) return undefined;
  // exit_signal: -1 in threads, which can be read here by their numbers as if they were processes.
  if (rest[35] === '-1') return undefined;
  return {
    pid,
    state: rest[0] ?? '?',
    ppid: Number(rest[1]),
    pgrp: Number(rest[2]),
    session: Number(rest[3]),
    startTime,
    rssBytes: Number(rest[21]) * pageSize(),
    cpuTicks: Number(rest[11]) + Number(rest[12]),
  };
}

let bytesInPage: number | undefined;

function pageSize(): number {
  bytesInPage ??= Number(/^KernelPageSize:\s+(\d+) kB/m.exec(readProc('/proc/self/smaps') ?? '')?.[1] ?? 4) * 1024;
  return bytesInPage;
}

/** Longer than any line of /proc/PID/stat, and than most environments. */
const chunk = Buffer.allocUnsafeSlow(16_384);

/**
 * undefined: the process is gone, or is not ours to look at. Three calls to the kernel, where readFileSync takes five: hundreds
 * of these files are read each second. What does not fill the buffer is all there is: /proc gives these files whole.
 */
function readProc(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const length = readSync(file, chunk, 0, chunk.length, 0);
    return length < chunk.length ? chunk.toString('latin1', 0, length) : readFileSync(path, 'latin1');
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
