import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessInfo, ProcessTable } from '../contracts/process-table.ts';

/** The process table of a Linux host, read from /proc. */
export class ProcTable implements ProcessTable {
  readonly bootId: string;

  constructor() {
    this.bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  }

  read(pid: number): ProcessInfo | undefined {
    const line = readProc(`/proc/${pid}/stat`);
    return line === undefined ? undefined : parseStat(line);
  }

  scan(): ProcessInfo[] {
    const processes: ProcessInfo[] = [];
    for (const name of readdirSync('/proc')) {
      const first = name.charCodeAt(0);
      if (first < 48 || first > 57) continue;
      const info = this.read(Number(name));
      if (info) processes.push(info);
    }
    return processes;
  }

  children(pid: number): number[] | null {
    const text = readProc(`/proc/${pid}/task/${pid}/children`);
    if (text !== undefined) return text.split(' ').filter(Boolean).map(Number);
    // A process that has just ended has none; where even our own cannot be read, the kernel was built without this.
    return readProc(`/proc/self/task/${process.pid}/children`) === undefined ? null : [];
  }

  environment(pid: number, name: string): string | undefined {
    const text = readProc(`/proc/${pid}/environ`);
    if (text === undefined) return undefined;
    const needle = `${name}=`;
    const start = text.startsWith(needle) ? 0 : text.indexOf(`\0${needle}`) + 1;
    if (start === 0 && !text.startsWith(needle)) return undefined;
    const end = text.indexOf('\0', start);
    return text.slice(start + needle.length, end < 0 ? undefined : end);
  }
}

/** One line of /proc/PID/stat. The command in it may hold spaces and brackets, so fields are counted from its last one. */
export function parseStat(line: string): ProcessInfo | undefined {
  const end = line.lastIndexOf(')');
  const pid = Number.parseInt(line, 10);
  const rest = line.slice(end + 2).split(' ');
  const startTime = Number(rest[19]);
  if (end < 0 || !Number.isInteger(pid) || !Number.isFinite(startTime)) return undefined;
  return {
    pid,
    state: rest[0] ?? '?',
    ppid: Number(rest[1]),
    pgrp: Number(rest[2]),
    session: Number(rest[3]),
    startTime,
  };
}

/** undefined: the process is gone, or is not ours to look at. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
