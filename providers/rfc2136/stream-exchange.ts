import { connect } from 'node:net';
import type { Clock, Timer } from '../../core/contracts/clock.ts';

/** A zone transfer beyond this is given up: it would be some millions of records. */
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Sends a message by TCP and hands each message that comes back to `take`, until that gives the answer; a zone transfer is
 * many. `timeoutMs` is the wait for each. Rejects with an Error whose message ends a sentence; the socket is closed in any case.
 */
export async function exchangeStream<T>(
  clock: Clock,
  server: { host: string; port: number },
  message: Buffer,
  timeoutMs: number,
  signal: AbortSignal,
  take: (message: Buffer) => T | undefined,
): Promise<T> {
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  let timer: Timer | null = null;
  const cancel = (): void => timer?.cancel();
  try {
    return await new Promise<T>((resolve, reject) => {
      const wait = (): void => {
        cancel();
        timer = clock.timer(timeoutMs, () => reject(new Error(`it did not answer within ${timeoutMs / 1000} s`)));
      };
      const onAbort = (): void => reject(new Error('Cerebro is stopping'));
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('close', () => {
        signal.removeEventListener('abort', onAbort);
        reject(new Error('it closed the connection without an answer'));
      });
      socket.on('error', reject);
      socket.once('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        socket.write(Buffer.concat([length, message]));
      });
      const split = splitter((received) => {
        wait();
        const answer = take(received);
        if (answer !== undefined) resolve(answer);
      });
      socket.on('data', (chunk: Buffer) => {
        try {
          split(chunk);
        } catch (error) {
          reject(error);
        }
      });
      wait();
    });
  } finally {
    cancel();
    socket.destroy();
  }
}

/** Cuts a stream into messages, each of which has its length before it (RFC 1035, 4.2.2). */
function splitter(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  let total = 0;
  return (chunk) => {
    total += chunk.length;
    if (total > MAX_BYTES) throw new Error('it sent more than a zone can be');
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let at = 0;
    while (held.length >= at + 2 && held.length >= at + 2 + held.readUInt16BE(at)) {
      const end = at + 2 + held.readUInt16BE(at);
      onMessage(held.subarray(at + 2, end));
      at = end;
    }
    held = held.subarray(at);
  };
}
