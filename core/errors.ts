/** Every failure that Cerebro itself raises has one of these codes. `http/answers/error-response.ts` maps them to a status, nothing else does. */
export type ErrorCode =
  | 'invalid' // the input is wrong; the message says what, where and what to do
  | 'usage' // the command line is wrong
  | 'unauthorized' // no token, or an unknown one
  | 'forbidden' // a known caller without the right (a missing CSRF token, an older epoch)
  | 'not_found'
  | 'ambiguous' // the name fits several things
  | 'conflict' // somebody else changed it meanwhile
  | 'precondition' // it is not what the caller believes it to be (If-Match)
  | 'too_large'
  | 'no_space' // the disk under the store is full
  | 'no_capacity' // a provider has none of this size in this zone now; `details` is a `NoCapacity` (contracts/machine-provider.ts)
  | 'unavailable' // a part that is needed does not answer now; trying again makes sense
  | 'timeout'
  | 'unsupported' // this host or this provider cannot do it
  | 'plugin' // a plugin could not be loaded, created or started
  | 'internal';

export interface ErrorOptions {
  cause?: unknown;
  /** Machine-readable particulars for the API's caller, e.g. the list of problems of a job file. */
  details?: unknown;
}

export class CerebroError extends Error {
  readonly code: ErrorCode;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CerebroError';
    this.code = code;
    this.details = options.details;
  }
}

/** The sentence of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` that Node puts on its system errors (`ENOENT`, `EADDRINUSE`), if there is one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
