import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Context } from 'koa';
import { CerebroError } from '../errors.ts';

const SESSION_MS = 7 * 24 * 3600 * 1000;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface Caller {
  /** For the timeline: who did it. */
  by: string;
  /** null for a caller with a bearer token, or with the cluster sitter's certificate. */
  session: string | null;
}

/**
 * Who may call. A bearer token (programs) or a session cookie made from it (browsers). A session is a signed text and needs no
 * memory here, so it outlives a restart; with it, everything but reading needs the CSRF token that goes with it.
 */
export class Auth {
  readonly #tokenHash: Buffer;
  readonly #key: Buffer;
  readonly #cookie: string;
  readonly #signInCode = randomBytes(18).toString('base64url');

  /** `name` tells the cookies of several daemons on one host name apart: cookies do not know ports. */
  constructor(options: { token: string; sessionKey: Buffer; name: string }) {
    this.#tokenHash = sha256(options.token);
    this.#key = options.sessionKey;
    this.#cookie = `cerebro_${options.name}`;
  }

  /** The path of the link that signs a browser in, good for as long as this daemon runs. */
  get signInPath(): string {
    return `/signin?code=${this.#signInCode}`;
  }

  tokenIsRight(token: string): boolean {
    return timingSafeEqual(sha256(token), this.#tokenHash);
  }

  codeIsRight(code: string): boolean {
    return timingSafeEqual(sha256(code), sha256(this.#signInCode));
  }

  /** Who calls. Throws `unauthorized`, or `forbidden` for a form without its CSRF token. */
  caller(ctx: Context): Caller {
    // Only a machine's door asks for certificates, and lets in none but the cluster sitter's.
    if (ctx.socket instanceof TLSSocket && ctx.socket.authorized) return { by: 'cluster sitter', session: null };
    const header = ctx.get('authorization');
    if (header !== '') {
      const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
      if (token !== undefined && this.tokenIsRight(token)) return { by: 'token admin', session: null };
      throw new CerebroError(
        'unauthorized',
        'the token is not right; the right one is in the file admin.token of the data folder',
      );
    }
    const session = this.session(ctx);
    if (session === null) {
      throw new CerebroError(
        'unauthorized',
        'this needs a token: "Authorization: Bearer TOKEN", with what the file admin.token of the data folder holds',
      );
    }
    if (!SAFE_METHODS.has(ctx.method) && !this.#csrfIsRight(ctx, session)) {
      throw new CerebroError(
        'forbidden',
        'the form has no valid CSRF token; load the page again and send it once more',
      );
    }
    return { by: 'browser', session };
  }

  /** Whether the caller has shown who he is; for what has to be decided before the body, with a form's CSRF token in it, is read. */
  knows(ctx: Context): boolean {
    try {
      this.caller(ctx);
      return true;
    } catch (error) {
      return error instanceof CerebroError && error.code === 'forbidden';
    }
  }

  /** The session of a browser, if it has a valid one. */
  session(ctx: Context): string | null {
    const [id, expires, signature] = (ctx.cookies.get(this.#cookie) ?? '').split('.');
    if (!id || !expires || !signature) return null;
    if (!equal(signature, this.#sign(`session:${id}.${expires}`))) return null;
    return Number(expires) > Date.now() ? id : null;
  }

  /** Signs the browser in. */
  begin(ctx: Context): void {
    const text = `${randomBytes(18).toString('base64url')}.${Date.now() + SESSION_MS}`;
    ctx.cookies.set(this.#cookie, `${text}.${this.#sign(`session:${text}`)}`, {
      httpOnly: true,
      sameSite: 'strict',
      maxAge: SESSION_MS,
      overwrite: true,
    });
  }

  end(ctx: Context): void {
    ctx.cookies.set(this.#cookie, null);
  }

  csrfToken(session: string): string {
    return this.#sign(`csrf:${session}`);
  }

  #csrfIsRight(ctx: Context, session: string): boolean {
    const body: unknown = ctx.request.body;
    const field = typeof body === 'object' && body !== null && '_csrf' in body ? body._csrf : undefined;
    const given = ctx.get('x-csrf-token') || field;
    return typeof given === 'string' && equal(given, this.csrfToken(session));
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function equal(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
