import { readFileSync } from 'node:fs';

export interface DiskBytes {
  readBytes: number;
  writtenBytes: number;
}

/** What these processes have read from disks and written to them; null: none of them lets us see it. */
export function diskBytesOf(pids: readonly number[]): DiskBytes | null {
  const seen = pids.flatMap((pid) => readOne(pid) ?? []);
  if (seen.length === 0) return null;
  return {
    readBytes: seen.reduce((sum, one) => sum + one.readBytes, 0),
    writtenBytes: seen.reduce((sum, one) => sum + one.writtenBytes, 0),
  };
}

/** The counters of /proc/PID/io that reached a disk. They hold what ended children of the process did, too. */
export function parseProcessIo(text: string): DiskBytes {
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { readBytes: field('read_bytes'), writtenBytes: field('write_bytes') };
}

function readOne(pid: number): DiskBytes | null {
  try {
    return parseProcessIo(readFileSync(`/proc/${pid}/io`, 'latin1'));
  } catch {
    return null; // gone, or of a user whose processes we may not look into
  }
}
