import { randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * A secret as text that is another one each time, so that nothing can be learned of it from the sizes of many compressed answers
 * (BREACH): a one-time pad, and the secret under it.
 */
export function maskSecret(secret: Buffer): string {
  const pad = randomBytes(secret.length);
  return Buffer.concat([pad, xor(pad, secret)]).toString('base64url');
}

/** Whether `text` is `secret` under some mask. */
export function masks(text: string, secret: Buffer): boolean {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== 2 * secret.length) return false;
  const pad = bytes.subarray(0, secret.length);
  return timingSafeEqual(xor(pad, bytes.subarray(secret.length)), secret);
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)));
}
