import { closeSync, fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { url as inspectorUrl } from 'node:inspector';
import { isatty } from 'node:tty';
import { systemCode } from '../errors.ts';
import { compiled } from './package-root.ts';

interface Descriptor {
  fd: number;
  /** What it leads to, as /proc says: a path, `pipe:[1234]`, `socket:[1234]`, `anon_inode:[eventpoll]`. */
  target: string;
  reads: boolean;
  writes: boolean;
}

/**
 * Closes what whoever started this process left open by mistake: a daemon would keep it for months (a lock, a deleted file, a
 * pipe whose reader waits for its end), and what has a number above 15 goes on to every task, since Node hides only the lower ones.
 *
 * To be called while nothing was opened by the program itself: then Node has event queues, pipes of which it holds both
 * ends, and terminals, and whatever else is there was inherited. Gives the numbers that were closed.
 */
export function closeInherited(): number[] {
  // The loader that runs the source has files and sockets of its own.
  if (!compiled) return [];
  const open = descriptors();
  const closed: number[] = [];
  for (const descriptor of open) {
    if (!isInherited(descriptor, open)) continue;
    try {
      closeSync(descriptor.fd);
      closed.push(descriptor.fd);
    } catch (error) {
      if (systemCode(error) !== 'EBADF') throw error; // it was the list's own
    }
  }
  return closed;
}

function isInherited({ fd, target }: Descriptor, open: readonly Descriptor[]): boolean {
  // Node keeps the latter to be able to close something when descriptors are used up.
  if (target.startsWith('anon_inode:') || target === '/dev/null') return false;
  // A debugger's, and the channel to a parent that forked us, are in use.
  if (target.startsWith('socket:')) return inspectorUrl() === undefined && process.channel === undefined;
  if (target.startsWith('pipe:')) {
    const ends = open.filter((other) => other.target === target);
    return !(ends.some(({ reads }) => reads) && ends.some(({ writes }) => writes));
  }
  return !(fstatSync(fd).isCharacterDevice() && isatty(fd));
}

/** All but standard input, output and error. */
function descriptors(): Descriptor[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    const fd = Number(name);
    if (fd <= 2) return [];
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
      const access = Number.parseInt(flags, 8) & 3; // O_ACCMODE: 0 reads, 1 writes, 2 both
      return [{ fd, target, reads: access !== 1, writes: access !== 0 }];
    } catch {
      return []; // the list's own, which is closed by now
    }
  });
}
