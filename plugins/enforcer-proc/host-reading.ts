import { RUN_MARKER } from '../../core/contracts/limit-enforcer.ts';
import type { ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';

/** Younger than this (clock ticks, 1/100 s), a process may still be between fork and exec, and not bear its mark yet. */
const YOUNG_TICKS = 500;

/** One reading of the host's processes, made once and used for every run that is looked at. */
export interface HostReading {
  processes: readonly ProcessInfo[];
  children: ReadonlyMap<number, readonly ProcessInfo[]>;
  byMarker: ReadonlyMap<string, readonly ProcessInfo[]>;
}

/** Reads the process table, and each process's environment once in its life. */
export class HostReader {
  readonly #table: ProcessTable;
  /** By pid and start time: the run's marker, or null for a stranger. */
  #known = new Map<string, string | null>();

  constructor(table: ProcessTable) {
    this.#table = table;
  }

  read(): HostReading {
    const processes = this.#table.scan();
    const children = new Map<number, ProcessInfo[]>();
    const byMarker = new Map<string, ProcessInfo[]>();
    const known = new Map<string, string | null>();
    let newest = 0;
    for (const info of processes) newest = Math.max(newest, info.startTime);
    for (const info of processes) {
      push(children, info.ppid, info);
      const key = `${info.pid}:${info.startTime}`;
      const before = this.#known.get(key);
      const marker = before === undefined ? (this.#table.environment(info.pid, RUN_MARKER) ?? null) : before;
      if (marker !== null || newest - info.startTime > YOUNG_TICKS) known.set(key, marker);
      if (marker !== null) push(byMarker, marker, info);
    }
    this.#known = known;
    return { processes, children, byMarker };
  }
}

/**
 * The living processes of one run: the leader, its session, its process group and every descendant of those; and, since a child
 * that calls setsid and whose parent dies is none of these, whoever bears the run's marker in its environment.
 */
export function treeOf(
  run: { marker: string; leader: { pid: number; startTime: number } | null },
  reading: HostReading,
): ProcessInfo[] {
  const { leader, marker } = run;
  const members = new Map<number, ProcessInfo>();
  if (leader) {
    for (const info of reading.processes) {
      // A session outlives its leader, and its number is not given again while anybody is in it.
      // The leader itself is told by its pid too: until its setsid it is in the shim's session still, and bears no mark yet.
      const inside = info.session === leader.pid || info.pgrp === leader.pid || info.pid === leader.pid;
      if (inside && info.startTime >= leader.startTime) members.set(info.pid, info);
    }
  }
  for (const info of reading.byMarker.get(marker) ?? []) members.set(info.pid, info);
  const queue = [...members.values()];
  for (let info = queue.pop(); info; info = queue.pop()) {
    for (const child of reading.children.get(info.pid) ?? []) {
      if (members.has(child.pid)) continue;
      members.set(child.pid, child);
      queue.push(child);
    }
  }
  return [...members.values()].filter((info) => info.state !== 'Z');
}

/**
 * The same tree as far as it can be found from its known members, for the samples between two full readings: members that are
 * there still, and what they have forked since. Undefined where the kernel does not tell a process's children.
 */
export function grownTree(table: ProcessTable, known: readonly ProcessInfo[]): ProcessInfo[] | undefined {
  const members = new Map<number, ProcessInfo>();
  const queue = [...known];
  for (let before = queue.pop(); before; before = queue.pop()) {
    const info = table.read(before.pid);
    if (!info || info.startTime !== before.startTime || members.has(info.pid)) continue;
    members.set(info.pid, info);
    const children = table.children(info.pid);
    if (children === null) return undefined;
    for (const pid of children) {
      const child = members.has(pid) ? undefined : table.read(pid);
      if (child) queue.push(child);
    }
  }
  return [...members.values()].filter((info) => info.state !== 'Z');
}

function push<K>(index: Map<K, ProcessInfo[]>, key: K, info: ProcessInfo): void {
  const list = index.get(key);
  if (list) list.push(info);
  else index.set(key, [info]);
}
