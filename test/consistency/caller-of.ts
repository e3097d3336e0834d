import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Which of some processes has the TCP connection of loopback that goes from `port` to `to`; undefined: none of them. */
export function callerOf(port: number, to: number, candidates: ReadonlyMap<string, number | null>): string | undefined {
  const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0');
  const ends = [`0100007F:${hex(port)}`, `0100007F:${hex(to)}`];
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] !== ends[0] || fields[2] !== ends[1]) continue;
    for (const [name, pid] of candidates) if (pid !== null && hasSocket(pid, fields[9] ?? '')) return name;
  }
  return undefined;
}

function hasSocket(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false; // closed since it was listed
      }
    });
  } catch {
    return false; // the process is gone
  }
}
