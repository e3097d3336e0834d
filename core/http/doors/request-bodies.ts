import { bodyParser } from '@koa/bodyparser';
import type { Context, Middleware } from 'koa';
import { CerebroError } from '../../errors.ts';
import type { Auth } from './auth.ts';

const MOST = '1mb';
/** Of a caller that has shown no token yet: enough for signing in, and little for whoever sends many. */
const MOST_OF_STRANGERS = '16kb';

/** Reads bodies, to a bound that goes by who sends them: what is too large throws 413, or `unauthorized` for a form of nobody who is signed in. */
export function requestBodies(auth: Pick<Auth, 'knows' | 'hadSession'>): Middleware {
  const ofCallers = bodiesUpTo(MOST, MOST);
  // Nothing is done for a session that ran out, but what was typed into its form is shown once more.
  const ofLateForms = bodiesUpTo(MOST_OF_STRANGERS, MOST);
  const ofStrangers = bodiesUpTo(MOST_OF_STRANGERS, MOST_OF_STRANGERS, refuse);
  return (ctx, next) => {
    if (auth.knows(ctx)) return ofCallers(ctx, next);
    return auth.hadSession(ctx) ? ofLateForms(ctx, next) : ofStrangers(ctx, next);
  };
}

function bodiesUpTo(limit: string, formLimit: string, onError?: (error: Error, ctx: Context) => void): Middleware {
  return bodyParser({
    enableTypes: ['json', 'form', 'text'],
    extendTypes: { text: ['text/*', 'application/yaml', 'application/x-yaml'] },
    jsonLimit: limit,
    formLimit,
    textLimit: limit,
    ...(onError && { onError }),
  });
}

/** A browser whose cookie is gone is told what became of its form, and not that it has no token. */
function refuse(error: Error, ctx: Context): never {
  const tooLarge = 'status' in error && error.status === 413;
  if (!tooLarge || ctx.get('authorization') !== '' || !ctx.is('urlencoded')) throw error;
  throw new CerebroError(
    'unauthorized',
    'nothing was done: nobody is signed in here, and then no more than 16 KB of a form are read. Go back to the form, copy what you typed, sign in, and send it once more',
    { cause: error },
  );
}
