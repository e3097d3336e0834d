import { RUN_MARKER } from '../../core/contracts/limit-enforcer.ts';
import type { ProcessId, ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';

/** Younger than this (clock ticks, 1/100 s), a process may still be between fork and exec, and not bear its mark yet. */
const YOUNG_TICKS = 500;
/** Clock ticks in a second. */
const TICKS = 100;
/** Up to so many new numbers are looked at one by one; for more, all processes are listed. */
const FEW = 64;
/** Each so many looks they are listed in any case, and those that are gone forgotten. */
const LIST_EVERY = 20;
/** So often a number that was given is looked for: between the two there is no process to be seen yet. */
const LOOKS = 3;
/** The parent of the kernel's own threads. */
const KERNEL = 2;

/** A run as the index knows it. */
export interface IndexedRun {
  readonly marker: string;
  readonly leader: ProcessId | null;
  /** Called when processes of it were found that were not known before. */
  grew(): void;
}

interface Known {
  info: ProcessInfo;
  run: IndexedRun | null;
  /** undefined: it bears none as yet, and may still get one. */
  marker: string | null | undefined;
  /** Until when (clock ticks since boot) it is not asked again. */
  askAt: number;
}

/**
 * Whose each process of the host is. A process belongs to a run when it leads it, when its parent does when it is first seen,
 * when it is in the leader's session or group, or when it bears the run's marker in its environment; and then it does for as
 * long as it lives, whatever becomes of its parents. So a child that calls setsid and whose parent dies does not escape.
 *
 * A refresh reads only what was born since the last one: pids are given in ascending order, so these are the ones between the
 * last pid that was given then and the last one now (and everybody, when the numbers have come round).
 * Where these are few, each is asked for by its number: to list a thousand processes costs more than to read thirty.
 */
export class ProcessIndex {
  readonly #table: ProcessTable;
  readonly #known = new Map<number, Known>();
  readonly #runs = new Set<IndexedRun>();
  readonly #members = new Map<IndexedRun, Set<number>>();
  #lastPid = Number.POSITIVE_INFINITY;
  #looks = 0;
  /** Numbers that were given, and nobody has been seen with (a thread, who has ended already, or who is being born): how often they are looked for. */
  readonly #unseen = new Map<number, number>();
  /** When the first of those that may still get a mark is to be asked (clock ticks since boot). */
  #askAt = Number.POSITIVE_INFINITY;
  /** A run came or learnt its leader: strangers may be its own. */
  #runsChanged = false;

  constructor(table: ProcessTable) {
    this.#table = table;
  }

  add(run: IndexedRun): void {
    this.#runs.add(run);
    this.#members.set(run, new Set());
    this.#runsChanged = true;
  }

  /** The run's leader is known by now. */
  led(leader: ProcessId): void {
    this.#learn(leader.pid);
    this.#runsChanged = true;
  }

  remove(run: IndexedRun): void {
    this.#runs.delete(run);
    for (const pid of this.#members.get(run) ?? []) {
      const known = this.#known.get(pid);
      if (known) known.run = null;
    }
    this.#members.delete(run);
  }

  /** Takes in whoever was born since the last time. */
  refresh(): void {
    // First the number, then the list: who is born between is read now, and once more next time.
    const last = this.#table.lastPid();
    if (last !== this.#lastPid || this.#unseen.size > 0) this.#readBorn(last);
    else if (!this.#runsChanged && this.#table.uptime() * TICKS < this.#askAt) return;
    this.#attribute();
  }

  /**
   * How sure it is that all of a run are known. `sure`: nobody is young who might still get a mark. `soon`: somebody is, and is asked
   * again by the next refresh. `doubt`: somebody is in the middle of exec, and bears no mark for a moment whosever he is.
   */
  certainty(): 'sure' | 'soon' | 'doubt' {
    let found: 'sure' | 'soon' | 'doubt' = 'sure';
    const now = this.#table.uptime() * TICKS;
    for (const known of this.#known.values()) {
      if (known.run !== null || known.marker !== undefined || now - known.info.startTime > YOUNG_TICKS) continue;
      if (known.info.ppid === KERNEL) continue;
      known.askAt = 0;
      if (found === 'sure') found = 'soon';
      const inExec = this.#table.environment(known.info.pid, RUN_MARKER) === null;
      if (inExec && this.#table.read(known.info.pid)?.state.match(/[ZX]/) === null) found = 'doubt';
    }
    if (found !== 'sure') this.#runsChanged = true;
    return found;
  }

  /** The living processes of a run, as they are at this moment; refresh first to have those that are new. */
  members(run: IndexedRun): ProcessInfo[] {
    const living: ProcessInfo[] = [];
    const pids = this.#members.get(run);
    for (const pid of pids ?? []) {
      const known = this.#known.get(pid);
      const info = this.#table.read(pid);
      if (info && info.startTime === known?.info.startTime) {
        if (info.state !== 'Z') living.push(info);
      } else {
        pids?.delete(pid);
        this.#known.delete(pid);
      }
    }
    return living;
  }

  #readBorn(last: number): void {
    const few = last >= this.#lastPid && last - this.#lastPid <= FEW;
    this.#looks += 1;
    if (few && this.#looks % LIST_EVERY !== 0) this.#readFew(last);
    else this.#readListed(last);
    this.#lastPid = last;
  }

  #readFew(last: number): void {
    for (let pid = this.#lastPid + 1; pid <= last; pid++) this.#unseen.set(pid, LOOKS);
    for (const [pid, looks] of this.#unseen) {
      this.#learn(pid);
      if (this.#known.has(pid) || looks === 1) this.#unseen.delete(pid);
      else this.#unseen.set(pid, looks - 1);
    }
  }

  #readListed(last: number): void {
    const cameRound = last < this.#lastPid;
    const listed = new Set(this.#table.pids());
    this.#unseen.clear();
    for (const pid of this.#known.keys()) if (!listed.has(pid)) this.#forget(pid);
    // A number may have been given before its process could be seen: who is not known yet is read in any case.
    const born = (pid: number): boolean => pid > this.#lastPid && pid <= last;
    for (const pid of listed) if (cameRound || born(pid) || !this.#known.has(pid)) this.#learn(pid);
  }

  #learn(pid: number): void {
    const info = this.#table.read(pid);
    if (info && this.#known.get(pid)?.info.startTime === info.startTime) return;
    this.#forget(pid);
    if (info) this.#known.set(pid, { info, run: null, marker: undefined, askAt: 0 });
  }

  #forget(pid: number): void {
    const run = this.#known.get(pid)?.run;
    if (run) this.#members.get(run)?.delete(pid);
    this.#known.delete(pid);
  }

  /** Finds the runs of those that have none: the oldest first, so that a parent's is known before its child's. */
  #attribute(): void {
    this.#runsChanged = false;
    const byMarker = new Map<string, IndexedRun>();
    const byLeader = new Map<number, IndexedRun>();
    for (const run of this.#runs) {
      byMarker.set(run.marker, run);
      if (run.leader) byLeader.set(run.leader.pid, run);
    }
    if (byMarker.size === 0) return;
    const strangers = [...this.#known.values()].filter((known) => known.run === null);
    strangers.sort((a, b) => a.info.startTime - b.info.startTime || a.info.pid - b.info.pid);
    const now = this.#table.uptime() * TICKS;
    this.#askAt = Number.POSITIVE_INFINITY;
    const grown = new Set<IndexedRun>();
    // Start times have a grain of 10 ms and pids come round: a second look finds a child that was sorted before its parent.
    for (let more = true; more; ) {
      more = false;
      for (const known of strangers) {
        if (known.run !== null) continue;
        known.run = this.#ownerOf(known, byMarker, byLeader, now);
        if (known.run === null) continue;
        this.#members.get(known.run)?.add(known.info.pid);
        grown.add(known.run);
        more = true;
      }
    }
    for (const run of grown) run.grew();
  }

  #ownerOf(
    known: Known,
    byMarker: ReadonlyMap<string, IndexedRun>,
    byLeader: ReadonlyMap<number, IndexedRun>,
    now: number,
  ): IndexedRun | null {
    const { info } = known;
    const parent = this.#known.get(info.ppid);
    if (parent?.run && parent.info.startTime <= info.startTime) return parent.run;
    for (const id of [info.pid, info.session, info.pgrp]) {
      const run = byLeader.get(id);
      if (!run?.leader || info.startTime < run.leader.startTime) continue;
      // A session outlives its leader; but where another process bears the leader's number by now, it is another session.
      const bearer = this.#known.get(id);
      if (!bearer || bearer.info.startTime === run.leader.startTime) return run;
    }
    // A young process may not have its mark yet: it is asked again whenever its age has doubled.
    if (known.marker === undefined && known.askAt <= now) {
      const marker = this.#table.environment(info.pid, RUN_MARKER) ?? null;
      const age = Math.max(0, now - info.startTime);
      if (marker !== null || age > YOUNG_TICKS) known.marker = marker;
      else known.askAt = now + Math.max(1, age);
    }
    if (known.marker === undefined) this.#askAt = Math.min(this.#askAt, known.askAt);
    return known.marker ? (byMarker.get(known.marker) ?? null) : null;
  }
}
