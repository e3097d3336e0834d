import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import nunjucks from 'nunjucks';
import type { Logger } from '../contracts/logger.ts';
import type { Page, UiPlugin } from '../contracts/ui.ts';
import type { Auth } from './auth.ts';
import { chartOf } from './chart.ts';
import { type ErrorAnswer, errorAnswer } from './error-response.ts';
import { pageFilters } from './page-filters.ts';
import { formOf, requestOf } from './page-request.ts';

/** Pages are told of changes at most this often. */
const LIVE_MS = 300;
/** A comment that keeps proxies from closing a quiet stream. */
const LIVE_BEAT_MS = 15_000;

const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** All that is asked of what pages are made from: that it says when it changed. */
export interface PagedApi {
  onChange(listener: () => void): () => void;
}

export interface PagesParts<Api extends PagedApi> {
  plugins: readonly UiPlugin<Api>[];
  api: Api;
  auth: Auth;
  logger: Logger;
  /** The folder of the built-in templates. */
  templates: string;
  /** URL name -> file: scripts and styles, read once. */
  assets: Readonly<Record<string, { path: string; type: string }>>;
}

/** The pages of a daemon, a cluster sitter's or a machine sitter's: signs browsers in, renders the pages of the `ui` plugins, and tells open pages that something changed. */
export class Pages<Api extends PagedApi> {
  readonly #parts: PagesParts<Api>;
  readonly #nunjucks: nunjucks.Environment;
  readonly #assets = new Map<string, { body: Buffer; type: string; etag: string }>();
  readonly #router = new Router();
  readonly #live = new Set<Readable>();
  #liveTimer: NodeJS.Timeout | null = null;
  #offChange: (() => void) | null = null;

  constructor(parts: PagesParts<Api>) {
    this.#parts = parts;
    const folders = [...parts.plugins.flatMap((plugin) => plugin.templates ?? []), parts.templates];
    this.#nunjucks = new nunjucks.Environment(new nunjucks.FileSystemLoader(folders), { autoescape: true });
    for (const [name, filter] of Object.entries(pageFilters)) this.#nunjucks.addFilter(name, filter);
    this.#nunjucks.addGlobal('chartOf', chartOf);
    this.#routes();
  }

  async start(): Promise<void> {
    for (const [name, { path, type }] of Object.entries(this.#parts.assets)) {
      const body = readFileSync(path);
      this.#assets.set(name, {
        body,
        type,
        etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      });
    }
  }

  async stop(): Promise<void> {
    this.#stopListening();
    for (const stream of this.#live) stream.destroy();
    this.#live.clear();
  }

  middleware(): Middleware {
    // The router's type asks for what only it itself puts into the context.
    return this.#router.routes() as unknown as Middleware;
  }

  /** An error of a path that is no page (a log, a misspelt address), for a browser: as a page, or by way of the sign-in. */
  errorPage(ctx: Context, { status, body }: ErrorAnswer): boolean {
    if (ctx.get('authorization') !== '' || ctx.accepts('json', 'html') !== 'html') return false;
    if (status === 401 && ctx.method === 'GET') ctx.redirect('/signin');
    else this.#render(ctx, 'error.njk', { title: 'That did not work', status, message: body.error.message }, status);
    return true;
  }

  #routes(): void {
    const router = this.#router;
    router.get('/assets/:name', (ctx) => this.#asset(ctx));
    router.get('/signin', (ctx) => this.#signIn(ctx, String(ctx.query.code ?? '')));
    router.post('/signin', (ctx) => this.#signInByToken(ctx));
    router.post('/signout', (ctx) => {
      this.#parts.auth.caller(ctx);
      this.#parts.auth.end(ctx);
      ctx.redirect('/signin');
    });
    router.get('/live', (ctx) => this.#openLive(ctx));
    for (const plugin of this.#parts.plugins) {
      for (const page of plugin.pages)
        router[page.method === 'GET' ? 'get' : 'post'](page.path, (ctx) => this.#answer(ctx, page));
    }
  }

  async #answer(ctx: Context, page: Page<Api>): Promise<void> {
    const { auth, api, logger } = this.#parts;
    if (page.audience === 'programs') return this.#answerProgram(ctx, page);
    if (page.method === 'GET' && auth.session(ctx) === null && ctx.get('authorization') === '') {
      ctx.redirect('/signin');
      return;
    }
    try {
      const caller = auth.caller(ctx);
      const answer = await page.answer(requestOf(ctx, caller.by), api);
      if ('redirect' in answer) {
        const notice =
          answer.notice === undefined
            ? ''
            : `${answer.redirect.includes('?') ? '&' : '?'}notice=${encodeURIComponent(answer.notice)}`;
        ctx.redirect(`${answer.redirect}${notice}`);
        ctx.status = 303;
      } else if ('json' in answer) {
        ctx.status = answer.status ?? 200;
        ctx.body = answer.json;
      } else {
        this.#render(ctx, answer.template, { title: answer.title, ...answer.data }, answer.status ?? 200);
      }
    } catch (error) {
      const { status, body } = errorAnswer(error, logger);
      this.#render(ctx, 'error.njk', { title: 'That did not work', status, message: body.error.message }, status);
    }
  }

  async #answerProgram(ctx: Context, page: Page<Api>): Promise<void> {
    const { by } = this.#parts.auth.caller(ctx);
    const answer = await page.answer(requestOf(ctx, by), this.#parts.api);
    if ('redirect' in answer) {
      ctx.redirect(answer.redirect);
      return;
    }
    if (!('json' in answer)) throw new Error(`the page ${page.path} is for programs and must answer with json`);
    ctx.status = answer.status ?? 200;
    ctx.body = answer.json;
  }

  #render(ctx: Context, template: string, data: Record<string, unknown>, status: number): void {
    const session = this.#parts.auth.session(ctx);
    const nav = this.#parts.plugins
      .flatMap((plugin) => plugin.pages.flatMap((page) => (page.nav ? [{ ...page.nav, path: page.path }] : [])))
      .sort((a, b) => a.order - b.order);
    ctx.set('Content-Security-Policy', CONTENT_SECURITY_POLICY);
    ctx.set('Referrer-Policy', 'no-referrer');
    ctx.set('X-Frame-Options', 'DENY');
    ctx.set('Cache-Control', 'no-store');
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = this.#nunjucks.render(template, {
      ...data,
      nav,
      path: ctx.path,
      url: ctx.url,
      notice: typeof ctx.query.notice === 'string' ? ctx.query.notice : null,
      signedIn: session !== null,
      csrf: session === null ? '' : this.#parts.auth.csrfToken(session),
      now: Date.now(),
    });
  }

  #asset(ctx: Context): void {
    const asset = this.#assets.get(String(ctx.params.name));
    if (!asset) {
      ctx.status = 404;
      ctx.body = 'there is no such asset\n';
      return;
    }
    ctx.set('ETag', asset.etag);
    ctx.set('Cache-Control', 'no-cache');
    ctx.type = asset.type;
    if (ctx.get('if-none-match') === asset.etag) ctx.status = 304;
    else ctx.body = asset.body;
  }

  #signIn(ctx: Context, code: string): void {
    const { auth } = this.#parts;
    if (code !== '' && auth.codeIsRight(code)) {
      auth.begin(ctx);
      ctx.redirect('/');
      return;
    }
    if (code === '' && auth.session(ctx) !== null) {
      ctx.redirect('/');
      return;
    }
    const message =
      code === ''
        ? null
        : 'This link is of an earlier start of Cerebro. Take the newest one, or sign in with the token.';
    this.#render(ctx, 'signin.njk', { title: 'Sign in', message }, code === '' ? 200 : 401);
  }

  #signInByToken(ctx: Context): void {
    const { auth } = this.#parts;
    if (auth.tokenIsRight(formOf(ctx).get('token')?.trim() ?? '')) {
      auth.begin(ctx);
      ctx.redirect('/');
      ctx.status = 303;
      return;
    }
    this.#render(
      ctx,
      'signin.njk',
      { title: 'Sign in', message: 'That is not the token. It is in the file admin.token of the data folder.' },
      401,
    );
  }

  #openLive(ctx: Context): void {
    this.#parts.auth.caller(ctx);
    const stream = new Readable({ read: () => undefined });
    const beat = setInterval(() => stream.push(':\n\n'), LIVE_BEAT_MS);
    stream.push('retry: 1000\n\n');
    this.#live.add(stream);
    // Changes are listened to only while somebody looks on: to tell of them costs a busy machine something.
    this.#offChange ??= this.#parts.api.onChange(() => this.#ring());
    const end = (): void => {
      clearInterval(beat);
      this.#live.delete(stream);
      if (this.#live.size === 0) this.#stopListening();
    };
    stream.once('close', end);
    ctx.res.once('close', () => stream.destroy());
    ctx.type = 'text/event-stream';
    ctx.set('Cache-Control', 'no-store');
    ctx.body = stream;
    ctx.flushHeaders();
  }

  #stopListening(): void {
    this.#offChange?.();
    this.#offChange = null;
    if (this.#liveTimer) clearTimeout(this.#liveTimer);
    this.#liveTimer = null;
  }

  #ring(): void {
    if (this.#live.size === 0 || this.#liveTimer) return;
    this.#liveTimer = setTimeout(() => {
      this.#liveTimer = null;
      for (const stream of this.#live) stream.push('event: change\ndata: {}\n\n');
    }, LIVE_MS);
  }
}
