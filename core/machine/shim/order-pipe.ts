import { constants, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { systemCode } from '../../errors.ts';

/**
 * A named pipe through which one shim after the other gets its order. We hold it open for reading and writing as long as we live: so
 * whoever reads waits for us, and reads its end when we die.
 */
export class OrderPipe {
  readonly name: string;
  readonly #path: string;
  #socket: Socket;

  /** Throws what the system says when there is no such pipe. */
  constructor(path: string, name: string) {
    this.#path = path;
    this.name = name;
    this.#socket = socketOf(openPipe(path));
  }

  /** Takes a text of any length: what does not fit yet waits. */
  write(text: string): void {
    this.#socket.write(text);
  }

  /** Throws away what nobody has read, of a shim that will not read it any more. */
  empty(): void {
    this.#socket.destroy(); // with what it had not written yet
    const fd = openPipe(this.#path);
    const rest = Buffer.allocUnsafe(65_536);
    while (readSome(fd, rest) > 0);
    this.#socket = socketOf(fd);
  }

  close(): void {
    this.#socket.destroy();
  }
}

function openPipe(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

function socketOf(fd: number): Socket {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on('error', () => undefined); // the end of who reads is told by the news, or found by the watch over shims
  return socket;
}

/** How many bytes there were to read; 0: none are left. */
function readSome(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return 0;
    throw error;
  }
}
