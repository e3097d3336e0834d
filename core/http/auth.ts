import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Context } from 'koa';
import { CerebroError } from '../errors.ts';
import type { Access } from '../model/access.ts';
import { FORWARDED_BY_HEADER, FORWARDED_SESSION_HEADER } from '../model/forwarded-call.ts';

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
  #tokenHash: Buffer;
  #key: Buffer;
  #cookie: string;
  readonly #signInCode = randomBytes(18).toString('base64url');

  /** `name` tells the cookies of several daemons on one host name apart: cookies do not know ports. */
  constructor(options: { token: string; sessionKey: Buffer; name: string }) {
    this.#tokenHash = sha256(options.token);
    this.#key = options.sessionKey;
    this.#cookie = `cerebro_${options.name}`;
  }

  /** Takes the callers of all cluster sitters that share `access`; a browser that is signed in at one of them is at each. */
  share({ token, sessionKey }: Access): void {
    this.#tokenHash = sha256(token);
    this.#key = Buffer.from(sessionKey, 'base64url');
    this.#cookie = `cerebro_${sha256(sessionKey).toString('hex').slice(0, 12)}`;
  }

  /** Whether a cluster sitter passes on what it was asked; then it answers for who asked. */
  isForwarded(ctx: Context): boolean {
    return isClusterSitter(ctx) && ctx.get(FORWARDED_BY_HEADER) !== '';
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
    if (isClusterSitter(ctx))
      return { by: ctx.get(FORWARDED_BY_HEADER) || 'cluster sitter', session: this.session(ctx) };
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
    if (isClusterSitter(ctx)) return ctx.get(FORWARDED_SESSION_HEADER) || null;
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

/** Only doors for cluster sitters ask for certificates, and they let in no others. */
function isClusterSitter(ctx: Context): boolean {
  return ctx.socket instanceof TLSSocket && ctx.socket.authorized;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function equal(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
