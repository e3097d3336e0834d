import type Router from '@koa/router';
import type { Context } from 'koa';
import type { Auth } from '../doors/auth.ts';
import { formOf } from './page-request.ts';

const LONGEST_ADDRESS = 1000;

export interface SignInParts {
  auth: Auth;
  render(ctx: Context, template: string, data: Record<string, unknown>, status: number): void;
}

/** How browsers get their session, and get rid of it. */
export class SignIn {
  readonly #parts: SignInParts;

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  mount(router: Router): void {
    router.get('/signin', (ctx) => this.#begin(ctx, String(ctx.query.code ?? '')));
    router.post('/signin', (ctx) => this.#byToken(ctx));
    router.post('/signout', (ctx) => {
      this.#parts.auth.caller(ctx, 'read');
      this.#parts.auth.end(ctx);
      ctx.redirect('/signin');
    });
  }

  /** A page without a session: by way of the sign-in, and back to it. */
  redirect(ctx: Context): void {
    ctx.redirect(ctx.url === '/' ? '/signin' : `/signin?next=${encodeURIComponent(ctx.url)}`);
  }

  /** A form whose session has ended: nothing was done, and what was typed is shown, so that it is not lost. */
  refuseForm(ctx: Context): void {
    const typed = formOf(ctx).get('text') ?? '';
    const message = 'Your session has ended, so nothing was done. Sign in, and send the form once more.';
    this.#show(ctx, message, 401, '/', typed);
  }

  #begin(ctx: Context, code: string): void {
    const { auth } = this.#parts;
    if (code !== '' && auth.codeIsRight(code)) {
      auth.begin(ctx);
      ctx.redirect('/');
      return;
    }
    const next = ownAddress(ctx.query.next);
    if (code === '' && auth.session(ctx) !== null) {
      ctx.redirect(next);
      return;
    }
    const old = 'This link is of an earlier start of Cerebro. Take the newest one, or sign in with a token.';
    this.#show(ctx, code === '' ? null : old, code === '' ? 200 : 401, next);
  }

  #byToken(ctx: Context): void {
    const form = formOf(ctx);
    const next = ownAddress(form.get('next'));
    if (this.#parts.auth.beginByToken(ctx, form.get('token')?.trim() ?? '')) {
      ctx.redirect(next);
      ctx.status = 303;
      return;
    }
    const wrong =
      'That is not the token, or it was revoked. One that always is right is in the file admin.token of the data folder.';
    this.#show(ctx, wrong, 401, next);
  }

  #show(ctx: Context, message: string | null, status: number, next: string, typed = ''): void {
    this.#parts.render(ctx, 'signin.njk', { title: 'Sign in', message, next, typed }, status);
  }
}

/** Where to go after the sign-in: an address of this very daemon, or else the overview. */
function ownAddress(text: unknown): string {
  if (typeof text !== 'string' || text.length > LONGEST_ADDRESS) return '/';
  // Browsers take "//host" and "/\host" for another host, and leave out control characters before they look.
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(text) && !text.startsWith('/sign') ? text : '/';
}
