import type { ApiTokenView, MadeApiToken, NewApiToken } from '../model/api-token.ts';

/** The tokens of a cluster, beside the one in its data folder, which always stands. */
export interface TokenApi {
  /** By name. */
  list(): ApiTokenView[];
  /** Throws `conflict` where the name is taken. The token is in this answer and nowhere else. */
  create(wanted: NewApiToken, by: string): Promise<MadeApiToken>;
  /** `which`: an id or a name. Whoever signed in with it is signed out. Throws `not_found`. */
  revoke(which: string, by: string): Promise<ApiTokenView>;
}
