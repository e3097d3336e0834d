/** With the boot, names a process for ever. */
export interface ProcessId {
  pid: number;
  /** Clock ticks since boot. */
  startTime: number;
}

export interface ProcessInfo extends ProcessId {
  ppid: number;
  pgrp: number;
  session: number;
  /** One letter of /proc/PID/stat: R, S, D, Z … */
  state: string;
  /** Memory that it has in use, shared pages included. */
  rssBytes: number;
  /** Processor time that it has used, in clock ticks. */
  cpuTicks: number;
}

/** The processes of this host, as one consistent reading. */
export interface ProcessTable {
  /** This boot of the kernel. */
  readonly bootId: string;
  /** Seconds since boot, suspended time included: no clock that is set moves it. */
  uptime(): number;
  /** A line of /proc/PID/stat; undefined for anything else. */
  parse(line: string): ProcessInfo | undefined;
  /** One process, or undefined when it is not there (a zombie is there). */
  read(pid: number): ProcessInfo | undefined;
  /** All of them. */
  scan(): ProcessInfo[];
  /** The pids of all of them. */
  pids(): number[];
  /** The pid that was given last, also to what has ended and to threads: when it stays the same, nobody was born. */
  lastPid(): number;
  /**
   * The value that a variable had when the process last called exec; undefined where there is none, or no such process. null: it has
   * no environment at all: a kernel's own, a zombie, or one that is in the middle of exec.
   */
  environment(pid: number, name: string): string | null | undefined;
}
