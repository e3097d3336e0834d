import type { TokenScope } from '../model/api-token.ts';
import type { ClusterApi } from './cluster-api.ts';

export interface PageRequest {
  method: 'GET' | 'POST';
  path: string;
  params: Record<string, string>;
  query: URLSearchParams;
  /** The fields of a form, after its CSRF token was checked. */
  form: URLSearchParams;
  /** Who is signed in, and what he may do. */
  by: string;
  scope: TokenScope;
}

export type PageAnswer =
  /** A Nunjucks template; it sees `data`, and what every page has (see templates/layout.njk). */
  | { template: string; title: string; data: Record<string, unknown>; status?: number }
  /** After a form: where to go, and the sentence to show there. */
  | { redirect: string; notice?: string }
  /** For programs. */
  | { json: unknown; status?: number };

/** `Api`: what the page is made from, the cluster's or (for the point `machine-ui`) one machine's. */
export interface Page<Api = ClusterApi> {
  method: 'GET' | 'POST';
  /** A router path: `/jobs/:name`. */
  path: string;
  /**
   * `people` (default): needs a session, is sent to the sign-in page without one, and reads errors as a page.
   * `programs`: needs a bearer token or a session, and reads errors as JSON.
   */
  audience?: 'people' | 'programs';
  /** What the caller's token has to allow; absent: `read` for GET, `operate` for POST. */
  scope?: TokenScope;
  /** The entry in the navigation, if it has one. */
  nav?: { title: string; order: number };
  answer(request: PageRequest, api: Api): Promise<PageAnswer>;
}

/** Pages of the dashboard, or of a machine sitter. Templates are Nunjucks files under `templates`, found before the built-in ones. */
export interface UiPlugin<Api = ClusterApi> {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly templates: string | null;
  readonly pages: readonly Page<Api>[];
}
