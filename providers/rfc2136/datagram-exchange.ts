import { createSocket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { Clock, Timer } from '../../core/contracts/clock.ts';

/** What `take` makes of a message: the answer, or why it is none and the wait goes on. */
export type Taken<T> = { answer: T } | { ignored: string };

const TRIES = 3;
const MAX_ADDRESSES = 4;

interface Exchange<T> {
  clock: Clock;
  message: Buffer;
  timeoutMs: number;
  signal: AbortSignal;
  take(message: Buffer): Taken<T>;
}

/**
 * Sends a message by UDP and hands what comes back to `take` until that finds the answer in it. It is sent again, as it is, when
 * nothing comes, and then to the server's next address, if its name has several. Rejects with an Error whose message ends a
 * sentence; the socket is closed in any case.
 */
export async function exchangeDatagrams<T>(server: { host: string; port: number }, exchange: Exchange<T>): Promise<T> {
  let failure: unknown = new Error('its name has no address');
  for (const at of (await addressesOf(server.host, exchange)).slice(0, MAX_ADDRESSES)) {
    if (exchange.signal.aborted) throw new Error('Cerebro is stopping');
    try {
      return await exchangeAt(at, server.port, exchange);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function exchangeAt<T>({ address, family }: LookupAddress, port: number, exchange: Exchange<T>): Promise<T> {
  const { clock, message, timeoutMs, signal, take } = exchange;
  // A socket of its own for each exchange: its port is as hard to guess as the message's id.
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  let timer: Timer | null = null;
  let sent = 0;
  let last = 'it did not answer';
  try {
    return await new Promise<T>((resolve, reject) => {
      const send = (): void => {
        if (sent === TRIES) {
          reject(new Error(`${last} within ${timeoutMs / 1000} s`));
          return;
        }
        sent += 1;
        timer = clock.timer(timeoutMs / TRIES, send);
        socket.send(message, (error) => error && reject(error));
      };
      const onAbort = (): void => reject(new Error('Cerebro is stopping'));
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', onAbort));
      socket.on('error', reject);
      socket.on('message', (received) => {
        const taken = take(received);
        if ('answer' in taken) resolve(taken.answer);
        else last = `${taken.ignored}, and no other came`;
      });
      // Connected, so that only the server's own answers come in, and a closed port is said at once.
      socket.connect(port, address, (error?: Error) => (error ? reject(error) : send()));
    });
  } finally {
    cancel(timer);
    socket.close();
  }
}

/** The resolver of this host has no deadline of its own. */
async function addressesOf(
  host: string,
  { clock, timeoutMs }: Pick<Exchange<unknown>, 'clock' | 'timeoutMs'>,
): Promise<LookupAddress[]> {
  let timer: Timer | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = clock.timer(timeoutMs, () => reject(new Error(`its address was not found within ${timeoutMs / 1000} s`)));
  });
  try {
    return await Promise.race([lookup(host, { all: true }), late]);
  } finally {
    cancel(timer);
  }
}

function cancel(timer: Timer | null): void {
  timer?.cancel();
}
