import { randomUUID } from 'node:crypto';
import type { Context, Next } from 'koa';
import { z } from 'zod';
import type { Logger } from '../../contracts/logger.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError, type ErrorCode } from '../../errors.ts';
import { knownKeys } from '../../model/known-keys.ts';

/** The one place where an error's code becomes a status. */
const STATUS: Record<ErrorCode, number> = {
  invalid: 400,
  usage: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  ambiguous: 409,
  conflict: 409,
  precondition: 412,
  too_large: 413,
  no_space: 507,
  no_capacity: 503,
  unavailable: 503,
  timeout: 504,
  unsupported: 501,
  plugin: 500,
  internal: 500,
};

export const errorBody = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: z.unknown().optional() }),
});
export type ErrorBody = z.infer<typeof errorBody>;

export interface ErrorAnswer {
  status: number;
  body: ErrorBody;
}

/** What the caller is told. An error that nobody foresaw shows a number to look up in the log, never its insides. */
export function errorAnswer(error: unknown, logger: Logger): ErrorAnswer {
  if (error instanceof CerebroError && error.code !== 'internal') {
    const details = error.details === undefined ? {} : { details: error.details };
    return { status: STATUS[error.code], body: { error: { code: error.code, message: error.message, ...details } } };
  }
  const http = clientError(error);
  if (http) return http;
  const id = randomUUID();
  logger.error({ err: error, errorId: id }, 'a request failed');
  return {
    status: 500,
    body: { error: { code: 'internal', message: `something went wrong here; the daemon's log has it as ${id}` } },
  };
}

/** What Koa and its middleware throw for the client's mistakes: they carry a status under 500. */
function clientError(error: unknown): ErrorAnswer | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  const { status } = error;
  if (status < 400 || status >= 500) return undefined;
  if (status === 413)
    return {
      status,
      body: {
        error: {
          code: 'too_large',
          message: 'the body is larger than 1 MB, or than 16 KB of a caller without a token',
        },
      },
    };
  return { status, body: { error: { code: 'invalid', message: `the request cannot be read: ${error.message}` } } };
}

/** Answers errors of everything further in: as a page where `page` makes one (a person looks on), or else as JSON. */
export function answerErrors(
  logger: Logger,
  page: (ctx: Context, answer: ErrorAnswer) => boolean,
): (ctx: Context, next: Next) => Promise<void> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const answer = errorAnswer(error, logger);
      // What was to be a file to keep is none: the error is to be read, and not to be saved in its place.
      ctx.remove('Content-Disposition');
      if (page(ctx, answer)) return;
      ctx.status = answer.status;
      if (answer.status === 401) ctx.set('WWW-Authenticate', 'Bearer realm="cerebro"');
      ctx.body = answer.body;
    }
  };
}

/** Turns zod's findings into one sentence: each names the field, what is wrong, what was expected and, of a key, the nearest known one. */
export function invalidInput(where: string, error: z.ZodError, schema: z.ZodType): CerebroError {
  const problems = error.issues.flatMap((issue) => {
    const at = [where, ...issue.path.map(String)];
    if (issue.code !== 'unrecognized_keys') return [`${at.join('.')}: ${issue.message}`];
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => `${[...at, key].join('.')}: unknown key${didYouMean(key, known)}`);
  });
  return new CerebroError('invalid', problems.join('; '), { details: { problems } });
}
