import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Context } from 'koa';
import { CerebroError } from '../../errors.ts';
import type { Access } from '../../model/access.ts';
import { type ApiTokenView, scopeCovers, type TokenScope, tokenScope, tokenScopeWords } from '../../model/api-token.ts';
import { FORWARDED_BY_HEADER, FORWARDED_SCOPE_HEADER, FORWARDED_SESSION_HEADER } from '../../model/forwarded-call.ts';
import { maskSecret, masks } from './mask-secret.ts';

const SESSION_MS = 7 * 24 * 3600 * 1000;
/** So long after its session a cookie is still sent, and good for nothing but to be told by it that the session has ended. */
const REMEMBERED_MS = SESSION_MS;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A browser that is signed in. */
export interface Session {
  id: string;
  /** For the timeline: who did it. */
  by: string;
  scope: TokenScope;
}

export interface Caller {
  /** For the timeline: who did it. */
  by: string;
  scope: TokenScope;
  /** null for a caller with a bearer token, or with the cluster sitter's certificate. */
  session: Session | null;
}

/** The tokens that people have made. */
export interface TokenHolders {
  holderOf(token: string): ApiTokenView | null;
  holder(id: string): ApiTokenView | null;
}

const NO_HOLDERS: TokenHolders = { holderOf: () => null, holder: () => null };
const ADMIN: Omit<Session, 'id'> = { by: 'browser', scope: 'admin' };

/**
 * Who may call, and what. A bearer token (programs) or a session cookie made from it (browsers). A session is a signed text and
 * needs no memory here, so it outlives a restart; it ends with the token that it was made from. With it, everything but reading
 * needs the CSRF token that goes with it.
 */
export class Auth {
  #tokenHash: Buffer;
  #key: Buffer;
  #cookie: string;
  readonly #holders: TokenHolders;
  readonly #signInCode = randomBytes(18).toString('base64url');

  /** `name` tells the cookies of several daemons on one host name apart: cookies do not know ports. */
  constructor(options: { token: string; sessionKey: Buffer; name: string; holders?: TokenHolders }) {
    this.#tokenHash = sha256(options.token);
    this.#key = options.sessionKey;
    this.#cookie = `cerebro_${options.name}`;
    this.#holders = options.holders ?? NO_HOLDERS;
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

  codeIsRight(code: string): boolean {
    return timingSafeEqual(sha256(code), sha256(this.#signInCode));
  }

  /** Who calls. Throws `unauthorized`, or `forbidden` for a form without its CSRF token and for what is beyond the caller's scope. */
  caller(ctx: Context, needed: TokenScope): Caller {
    const caller = this.who(ctx);
    if (scopeCovers(caller.scope, needed)) return caller;
    throw new CerebroError(
      'forbidden',
      `this needs a token of scope ${needed}; that of ${caller.by} is of scope ${caller.scope}: ${tokenScopeWords[caller.scope]}`,
    );
  }

  /** The same, whatever the caller may do: for who passes it on to somebody who looks at that. */
  who(ctx: Context): Caller {
    if (isClusterSitter(ctx)) return { ...forwarded(ctx), session: this.session(ctx) };
    const header = ctx.get('authorization');
    if (header !== '') return this.#bearer(header);
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
    return { by: session.by, scope: session.scope, session };
  }

  #bearer(header: string): Caller {
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1] ?? '';
    if (this.#isAdmin(token)) return { by: 'token admin', scope: 'admin', session: null };
    const holder = this.#holders.holderOf(token);
    if (holder) return { by: `token ${holder.name}`, scope: holder.scope, session: null };
    throw new CerebroError(
      'unauthorized',
      'the token is not right, or was revoked; one that always is stands in the file admin.token of the data folder',
    );
  }

  /** Whether the caller has shown who he is; for what has to be decided before the body, with a form's CSRF token in it, is read. */
  knows(ctx: Context): boolean {
    try {
      this.who(ctx);
      return true;
    } catch (error) {
      return error instanceof CerebroError && error.code === 'forbidden';
    }
  }

  /** The session of a browser, if it has a valid one. */
  session(ctx: Context): Session | null {
    if (isClusterSitter(ctx)) {
      const id = ctx.get(FORWARDED_SESSION_HEADER);
      return id === '' ? null : { id, ...forwarded(ctx) };
    }
    const cookie = this.#cookieOf(ctx);
    return cookie !== null && cookie.expires > Date.now() ? cookie.session : null;
  }

  /** Whether the browser has had a session, which has merely run out. */
  hadSession(ctx: Context): boolean {
    const cookie = this.#cookieOf(ctx);
    return cookie !== null && cookie.expires <= Date.now();
  }

  /** The session that a browser's cookie names; null: none, or one whose token is no more. */
  #cookieOf(ctx: Context): { session: Session; expires: number } | null {
    const [id, holder, expires, signature] = (ctx.cookies.get(this.#cookie) ?? '').split('.');
    if (!id || holder === undefined || !expires || !signature) return null;
    if (!equal(signature, this.#sign(`session:${id}.${holder}.${expires}`))) return null;
    if (holder === '') return { session: { id, ...ADMIN }, expires: Number(expires) };
    const found = this.#holders.holder(holder);
    if (!found) return null;
    return { session: { id, by: `${found.name} (browser)`, scope: found.scope }, expires: Number(expires) };
  }

  /** Signs a browser in by a token; false: it is none of ours. */
  beginByToken(ctx: Context, token: string): boolean {
    const holder = this.#holders.holderOf(token);
    if (!holder && !this.#isAdmin(token)) return false;
    this.begin(ctx, holder?.id);
    return true;
  }

  /** Signs a browser in; `holder`: with no more than this token may. */
  begin(ctx: Context, holder = ''): void {
    const text = `${randomBytes(18).toString('base64url')}.${holder}.${Date.now() + SESSION_MS}`;
    ctx.cookies.set(this.#cookie, `${text}.${this.#sign(`session:${text}`)}`, {
      httpOnly: true,
      sameSite: 'strict',
      maxAge: SESSION_MS + REMEMBERED_MS,
      overwrite: true,
    });
  }

  end(ctx: Context): void {
    ctx.cookies.set(this.#cookie, null);
  }

  /** Another text each time; all that were given to a session are good for as long as it is. */
  csrfToken(session: Session): string {
    return maskSecret(this.#hmac(`csrf:${session.id}`));
  }

  #isAdmin(token: string): boolean {
    return timingSafeEqual(sha256(token), this.#tokenHash);
  }

  #csrfIsRight(ctx: Context, session: Session): boolean {
    const body: unknown = ctx.request.body;
    const field = typeof body === 'object' && body !== null && '_csrf' in body ? body._csrf : undefined;
    const given = ctx.get('x-csrf-token') || field;
    return typeof given === 'string' && masks(given, this.#hmac(`csrf:${session.id}`));
  }

  #sign(text: string): string {
    return this.#hmac(text).toString('base64url');
  }

  #hmac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}

/** Only doors for cluster sitters ask for certificates, and they let in no others. */
function isClusterSitter(ctx: Context): boolean {
  return ctx.socket instanceof TLSSocket && ctx.socket.authorized;
}

/** Who asked a cluster sitter for what it passes on; or else the cluster sitter itself. */
function forwarded(ctx: Context): { by: string; scope: TokenScope } {
  const scope = ctx.get(FORWARDED_SCOPE_HEADER);
  return {
    by: ctx.get(FORWARDED_BY_HEADER) || 'cluster sitter',
    scope: scope === '' ? 'admin' : tokenScope.parse(scope),
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function equal(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
