import pino, { type DestinationStream } from 'pino';

/** What could not be written is kept for when there is room again, up to so many bytes; then lines are dropped. */
const MAX_KEPT = 1024 * 1024;

/**
 * Where the daemon's own log goes: a file, or standard error. A disk that is full costs lines of the log, and nothing else: without a
 * listener of ours, the line that cannot be written would be thrown into whoever wanted to log it.
 */
export function logDestination(file: string | undefined): DestinationStream {
  const destination = pino.destination({
    ...(file === undefined ? { dest: 2 } : { dest: file, mkdir: true, mode: 0o600 }),
    sync: true,
    maxLength: MAX_KEPT,
  });
  destination.on('error', () => undefined);
  return destination;
}
