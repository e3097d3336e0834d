import { CerebroError, messageOf } from '../../core/errors.ts';
import { errorAnswer } from './etcd-answers.ts';

/** gRPC's own numbers. */
const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;

/** Another endpoint, or the same one a little later, may answer. */
export class TryAgain extends Error {}
/** The token is over: a new one is asked for. */
export class TokenOver extends Error {}

/** What an answer that is none means. `where` names the endpoint. */
export function refusalOf(status: number, text: string, where: string): Error {
  const parsed = errorAnswer.safeParse(jsonOf(text));
  const code = parsed.data?.code;
  const words = parsed.data?.message ?? `status ${status}`;
  if (/database space exceeded/.test(words))
    return new CerebroError(
      'no_space',
      `etcd is full (alarm NOSPACE at ${where}); what was acknowledged before stays. Compact and defragment it, then: etcdctl alarm disarm`,
    );
  if (/request is too large|larger than max/.test(words))
    return new CerebroError('too_large', `etcd takes no request of this size (--max-request-bytes): ${words}`);
  if (/invalid auth token|revision of auth store is old|token is expired/.test(words)) return new TokenOver(words);
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED || /authentication|user name is empty/.test(words))
    return new CerebroError(
      'unauthorized',
      `etcd at ${where} refuses us: ${words}; look at user and password in the configuration of store-etcd, and at the user's role`,
    );
  if (/required revision has been compacted/.test(words))
    return new CerebroError('conflict', 'etcd has compacted what was asked for meanwhile; list again');
  // Without a quorum, or in an election, etcd says 503 or that a time is over; a proxy before it says 502 or 504.
  if (status >= 500 || /no leader|leader changed|timed out|stopped|too many requests/.test(words))
    return new TryAgain(`${where} says: ${words}`);
  return new CerebroError('internal', `etcd at ${where} refuses a request: ${words}`);
}

/** The words of a connection that failed; undici puts the reason below. */
export function connectionWords(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return messageOf(error);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not etcd's own: its status says enough
  }
}
