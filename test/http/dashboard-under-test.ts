import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { pagesParts } from '../../core/engine/pages-parts.ts';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { Pages } from '../../core/http/pages/pages.ts';
import { UiDashboard } from '../../plugins/ui-dashboard/ui-dashboard.ts';
import { UiSettings } from '../../plugins/ui-settings/ui-settings.ts';
import type { FakeClusterApi } from '../fakes/fake-cluster-api.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

export const TOKEN = 'the-admin-token';

/** What a browser without JavaScript does. */
export class Browser {
  readonly #base: string;
  #cookie = '';
  #csrf = '';

  constructor(base: string) {
    this.#base = base;
  }

  async signIn(): Promise<this> {
    const answer = await this.send('/signin', { token: TOKEN }, false);
    this.#cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const page = await this.page('/new');
    this.#csrf = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    return this;
  }

  get(path: string): Promise<Response> {
    return fetch(this.#base + path, { headers: { cookie: this.#cookie }, redirect: 'manual' });
  }

  async page(path: string): Promise<string> {
    return (await this.get(path)).text();
  }

  send(path: string, fields: Record<string, string>, withCsrf = true): Promise<Response> {
    const body = new URLSearchParams(withCsrf ? { ...fields, _csrf: this.#csrf } : fields);
    return fetch(this.#base + path, { method: 'POST', body, headers: { cookie: this.#cookie }, redirect: 'manual' });
  }
}

/** The dashboard over a fake cluster: the real app, pages, sign-in, templates and HTTP. */
export async function dashboard(t: Test, api: FakeClusterApi): Promise<{ base: string; browser: Browser }> {
  const auth = new Auth({ token: TOKEN, sessionKey: randomBytes(32), name: 'test' });
  const plugins = [new UiDashboard(), new UiSettings()];
  const pages = new Pages(pagesParts({ auth, logger: silentLogger }, plugins, api));
  const app = daemonApp({
    title: 'test',
    version: '0',
    auth,
    logger: silentLogger,
    routes: [],
    ready: () => true,
    before: [pages.middleware()],
  });
  const server = new HttpServer(app);
  const base = await server.listen('127.0.0.1', 0);
  await pages.start();
  t.teardown(async () => {
    await pages.stop();
    await server.close();
  });
  return { base, browser: await new Browser(base).signIn() };
}
