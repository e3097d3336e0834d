import type { ServerResponse } from 'node:http';
import { firstWholeLine } from '../../machine/logs/log-file.ts';
import type { OpenLog } from '../../machine/logs/run-log.ts';

/** One buffer for each reader, used again and again: fresh memory for each piece costs more than the copying. */
const PIECE = 256 * 1024;
const NEWLINE = Buffer.from('\n');

/**
 * Sends the bytes from `from` to `until` of a log as fast as the reader takes them, and nothing ahead of him. Where its head is cut
 * off meanwhile, it goes on with the first whole line that is there; with `exact`, where a length was promised, it breaks off.
 */
export async function sendBytes(
  response: ServerResponse,
  log: OpenLog,
  { from, until, exact }: { from: number; until: number; exact: boolean },
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(PIECE, until - from)));
  let position = from;
  let midLine = false;
  while (position < until && !response.destroyed) {
    const bytesRead = await log.read(buffer.subarray(0, Math.min(buffer.length, until - position)), position);
    if (bytesRead > 0) {
      position += bytesRead;
      midLine = buffer[bytesRead - 1] !== 10;
      await flushed(response, buffer.subarray(0, bytesRead));
    } else {
      const overtaken = position < log.log.start;
      if (exact || !overtaken) break;
      position = await firstWholeLine(log);
      if (midLine) await flushed(response, NEWLINE);
      midLine = false;
    }
  }
  if (exact && position < until) response.destroy();
  else response.end();
}

/** Resolves when the bytes have left the buffer, or nobody wants them any more. */
function flushed(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    response.write(bytes, done);
  });
}
