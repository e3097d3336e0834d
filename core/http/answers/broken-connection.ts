import { systemCode } from '../../errors.ts';

/** How Node says that one of the two ends went away in the middle of an answer, or that we let go because of that. */
const BROKEN = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR', 'ERR_HTTP_REQUEST_TIMEOUT'],
]);
/** Of undici, whatever becomes of a line to a machine; of HTTP and TLS, that the caller spoke neither. */
const OF_THE_LINE = /^(UND_ERR|HPE|ERR_SSL)_/;

/** Whether an answer that was under way failed by its connection alone, the caller's or a machine's, which happens every day. */
export function isBrokenConnection(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  return BROKEN.has(code) || OF_THE_LINE.test(code) || (error instanceof Error && error.name === 'AbortError');
}
