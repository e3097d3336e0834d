import type { TokenApi } from '../../core/contracts/token-api.ts';
import { CerebroError } from '../../core/errors.ts';
import type { ApiTokenView, MadeApiToken, NewApiToken } from '../../core/model/api-token.ts';

const AT = '2026-01-02T03:04:05.000Z';

/** Tokens that open nothing; what was asked is written down. */
export class FakeTokens implements TokenApi {
  readonly views: ApiTokenView[] = [];
  readonly #calls: string[];

  constructor(calls: string[]) {
    this.#calls = calls;
  }

  list(): ApiTokenView[] {
    return [...this.views];
  }

  async create({ name, scope, days }: NewApiToken, by: string): Promise<MadeApiToken> {
    this.#calls.push(`token ${name} that may ${scope} for ${days} by ${by}`);
    if (this.views.some((view) => view.name === name))
      throw new CerebroError('conflict', `there is a token "${name}" already`);
    const id = `t${this.views.length + 1}`;
    const about = { id, name, scope, createdAt: AT, by, lastUsedAt: null, expiresAt: null };
    this.views.push(about);
    return { token: 'cerebro_shown-this-once', about };
  }

  async revoke(which: string, by: string): Promise<ApiTokenView> {
    this.#calls.push(`revoke ${which} by ${by}`);
    const at = this.views.findIndex(({ id, name }) => id === which || name === which);
    const [gone] = at < 0 ? [] : this.views.splice(at, 1);
    if (gone) return gone;
    throw new CerebroError('not_found', `there is no token "${which}"`);
  }
}
