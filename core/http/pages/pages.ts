import { randomBytes } from 'node:crypto';
import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import nunjucks from 'nunjucks';
import type { Logger } from '../../contracts/logger.ts';
import type { Page, PageAnswer, UiPlugin } from '../../contracts/ui.ts';
import { scopeCovers, type TokenScope } from '../../model/api-token.ts';
import { type ErrorAnswer, errorAnswer } from '../answers/error-response.ts';
import type { Auth, Caller, Session } from '../doors/auth.ts';
import { chartOf } from './chart.ts';
import { KeptPages } from './kept-pages.ts';
import { LiveStreams } from './live-streams.ts';
import { type AssetFiles, PageAssets } from './page-assets.ts';
import { pageFilters } from './page-filters.ts';
import { requestOf } from './page-request.ts';
import { SignIn } from './sign-in.ts';

const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** All that is asked of what pages are made from: that it says when it changed. */
export interface PagedApi {
  /** `figures`: nothing happened, only numbers (cpu, memory) are others now. */
  onChange(listener: (what?: 'figures') => void): () => void;
}

export interface PagesParts<Api extends PagedApi> {
  plugins: readonly UiPlugin<Api>[];
  api: Api;
  auth: Auth;
  logger: Logger;
  /** The folder of the built-in templates. */
  templates: string;
  /** Scripts and styles. */
  assets: AssetFiles;
  /** For how long a page that was made is shown to others who ask for it, while nothing happens. Absent: it is made anew each time. */
  keepMs?: number;
}

/** The pages of a daemon, a cluster sitter's or a machine sitter's: signs browsers in, renders the pages of the `ui` plugins, and tells open pages that something changed. */
export class Pages<Api extends PagedApi> {
  readonly #parts: PagesParts<Api>;
  readonly #nunjucks: nunjucks.Environment;
  readonly #assets: PageAssets;
  readonly #router = new Router();
  readonly #live: LiveStreams;
  readonly #signIn: SignIn;
  readonly #kept: KeptPages<PageAnswer | { html: string; status: number }>;
  readonly #nav: { title: string; order: number; path: string }[];
  /** Stands in a kept page where each reader's own CSRF token goes; nobody can guess it and put it elsewhere. */
  readonly #csrfPlace = randomBytes(18).toString('base64url');
  #offChange: (() => void) | null = null;

  constructor(parts: PagesParts<Api>) {
    this.#parts = parts;
    const folders = [...parts.plugins.flatMap((plugin) => plugin.templates ?? []), parts.templates];
    this.#nunjucks = new nunjucks.Environment(new nunjucks.FileSystemLoader(folders), { autoescape: true });
    for (const [name, filter] of Object.entries(pageFilters)) this.#nunjucks.addFilter(name, filter);
    this.#nunjucks.addGlobal('chartOf', chartOf);
    this.#assets = new PageAssets(parts.assets);
    this.#live = new LiveStreams((listener) => parts.api.onChange(listener));
    this.#kept = new KeptPages(parts.keepMs ?? 0);
    this.#signIn = new SignIn({ auth: parts.auth, render: (...args) => this.#render(...args) });
    this.#nav = parts.plugins
      .flatMap((plugin) => plugin.pages.flatMap((page) => (page.nav ? [{ ...page.nav, path: page.path }] : [])))
      .sort((a, b) => a.order - b.order);
    this.#routes();
  }

  async start(): Promise<void> {
    this.#assets.load();
    if (this.#parts.keepMs)
      this.#offChange = this.#parts.api.onChange((what) => {
        if (what !== 'figures') this.#kept.forget();
      });
  }

  async stop(): Promise<void> {
    this.#offChange?.();
    this.#offChange = null;
    this.#live.stop();
  }

  middleware(): Middleware {
    // The router's type asks for what only it itself puts into the context.
    return this.#router.routes() as unknown as Middleware;
  }

  /** An error of a path that is no page (a log, a misspelt address), for a browser: as a page, or by way of the sign-in. */
  errorPage(ctx: Context, answer: ErrorAnswer): boolean {
    if (ctx.get('authorization') !== '' || ctx.accepts('json', 'html') !== 'html') return false;
    if (answer.status === 401 && ctx.method === 'GET') this.#signIn.redirect(ctx);
    else if (answer.status === 401 && ctx.request.body !== undefined) this.#signIn.refuseForm(ctx);
    else this.#showError(ctx, answer);
    return true;
  }

  #routes(): void {
    const router = this.#router;
    router.get('/assets/:name', (ctx) => this.#assets.answer(ctx));
    this.#signIn.mount(router);
    router.get('/live', (ctx) => {
      this.#parts.auth.caller(ctx, 'read');
      this.#live.open(ctx);
    });
    for (const plugin of this.#parts.plugins) {
      for (const page of plugin.pages)
        router[page.method === 'GET' ? 'get' : 'post'](page.path, (ctx) => this.#answer(ctx, page));
    }
  }

  async #answer(ctx: Context, page: Page<Api>): Promise<void> {
    const { auth, logger } = this.#parts;
    if (page.audience === 'programs') return this.#answerProgram(ctx, page);
    // Who passes on for a caller with a token sends neither a session nor the token.
    if (auth.session(ctx) === null && ctx.get('authorization') === '' && !auth.isForwarded(ctx)) {
      if (page.method === 'GET') this.#signIn.redirect(ctx);
      else this.#signIn.refuseForm(ctx);
      return;
    }
    try {
      const caller = auth.caller(ctx, scopeOf(page));
      if (page.method === 'POST') this.#send(ctx, await this.#ask(ctx, page, caller), caller.session);
      else await this.#look(ctx, page, caller);
    } catch (error) {
      this.#showError(ctx, errorAnswer(error, logger));
    }
  }

  /** A page that is only looked at. It is made once for all who ask for it at about the same time and may see the same. */
  async #look(ctx: Context, page: Page<Api>, caller: Caller): Promise<void> {
    const { by, scope, session } = caller;
    const made = await this.#kept.page(`${session !== null} ${scope} ${by}\n${ctx.url}`, async () => {
      const answer = await this.#ask(ctx, page, caller);
      if (!('template' in answer)) return answer;
      const { template, title, data, status = 200 } = answer;
      return { html: this.#html(ctx, template, { title, ...data }, caller.session), status };
    });
    if ('html' in made) this.#sendHtml(ctx, made.html, made.status, caller.session);
    else this.#send(ctx, made, caller.session);
  }

  async #ask(ctx: Context, page: Page<Api>, { by, scope }: Caller): Promise<PageAnswer> {
    return page.answer(requestOf(ctx, by, scope), this.#parts.api);
  }

  async #answerProgram(ctx: Context, page: Page<Api>): Promise<void> {
    const caller = this.#parts.auth.caller(ctx, scopeOf(page));
    const answer = await this.#ask(ctx, page, caller);
    if ('template' in answer) throw new Error(`the page ${page.path} is for programs and must answer with json`);
    this.#send(ctx, answer, caller.session);
  }

  #send(ctx: Context, answer: PageAnswer, session: Session | null): void {
    if ('redirect' in answer) {
      const { redirect, notice } = answer;
      const more =
        notice === undefined ? '' : `${redirect.includes('?') ? '&' : '?'}notice=${encodeURIComponent(notice)}`;
      ctx.redirect(`${redirect}${more}`);
      ctx.status = 303;
    } else if ('json' in answer) {
      ctx.status = answer.status ?? 200;
      ctx.body = answer.json;
    } else {
      const html = this.#html(ctx, answer.template, { title: answer.title, ...answer.data }, session);
      this.#sendHtml(ctx, html, answer.status ?? 200, session);
    }
  }

  #showError(ctx: Context, { status, body }: ErrorAnswer): void {
    this.#render(ctx, 'error.njk', { title: 'That did not work', status, message: body.error.message }, status);
  }

  #render(ctx: Context, template: string, data: Record<string, unknown>, status: number): void {
    const session = this.#parts.auth.session(ctx);
    this.#sendHtml(ctx, this.#html(ctx, template, data, session), status, session);
  }

  #html(ctx: Context, template: string, data: Record<string, unknown>, session: Session | null): string {
    const may = (scope: TokenScope): boolean => session !== null && scopeCovers(session.scope, scope);
    return this.#nunjucks.render(template, {
      ...data,
      nav: this.#nav,
      path: ctx.path,
      url: ctx.url,
      notice: typeof ctx.query.notice === 'string' ? ctx.query.notice : null,
      signedIn: session !== null,
      who: session,
      may: { operate: may('operate'), admin: may('admin') },
      csrf: session === null ? '' : this.#csrfPlace,
      now: Date.now(),
    });
  }

  #sendHtml(ctx: Context, html: string, status: number, session: Session | null): void {
    ctx.set('Content-Security-Policy', CONTENT_SECURITY_POLICY);
    ctx.set('Referrer-Policy', 'no-referrer');
    ctx.set('X-Frame-Options', 'DENY');
    ctx.set('Cache-Control', 'no-store');
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = session === null ? html : html.replaceAll(this.#csrfPlace, this.#parts.auth.csrfToken(session));
  }
}

/** To look is for everybody who may come in; to act, or to see what is secret, needs what the page says. */
function scopeOf(page: Pick<Page, 'method' | 'scope'>): TokenScope {
  return page.scope ?? (page.method === 'GET' ? 'read' : 'operate');
}
