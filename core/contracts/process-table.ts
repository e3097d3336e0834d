export interface ProcessInfo {
  pid: number;
  ppid: number;
  pgrp: number;
  session: number;
  /** One letter of /proc/PID/stat: R, S, D, Z … */
  state: string;
  /** Clock ticks since boot; with the pid and the boot id it names a process for ever. */
  startTime: number;
}

/** The processes of this host, as one consistent reading. */
export interface ProcessTable {
  /** This boot of the kernel. */
  readonly bootId: string;
  /** One process, or undefined when it is not there (a zombie is there). */
  read(pid: number): ProcessInfo | undefined;
  /** All of them. */
  scan(): ProcessInfo[];
  /** The children of a process's main thread, without a look at everybody else; null where the kernel does not tell. */
  children(pid: number): number[] | null;
  /** The value that a variable had when the process last called exec; undefined where there is none, or no such process. */
  environment(pid: number, name: string): string | undefined;
}
