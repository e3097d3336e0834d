import { pipeline, type Readable, Transform } from 'node:stream';

/**
 * A stream that tells how many of `total` bytes have gone through it. It takes from its source from now on, so that nothing is
 * lost of a child process that ends before somebody reads. An error of either ends both.
 */
export function counted(input: Readable, total: number, onProgress?: (sent: number, total: number) => void): Readable {
  let sent = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sent = Math.min(total, sent + chunk.length);
      onProgress?.(sent, total);
      done(null, chunk);
    },
  });
  return pipeline(input, counter, () => undefined); // whoever reads finds too little, and says so
}
