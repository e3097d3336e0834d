import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { TokenApi } from '../../contracts/token-api.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { ApiTokenRecord, ApiTokenView, MadeApiToken, NewApiToken } from '../../model/api-token.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';

/** More than that nobody can keep in mind, and each call is looked up among them. */
const MOST_TOKENS = 500;
/** A token that is in use is noted in the store this often: who asks ten times a second must not write ten times. */
const NOTE_USE_MS = 60_000;
const PREFIX = 'cerebro_';
const DAY_MS = 86_400_000;

export interface ApiTokenDeps {
  records: Pick<ClusterRecords, 'tokens' | 'transact'>;
  clock: Clock;
  logger: Logger;
}

/** Tokens that people make for programs and for each other. The store keeps their hashes, and when each was last used. */
export class ApiTokens implements TokenApi {
  readonly #deps: ApiTokenDeps;
  /** When each was last used, by id, where that is newer than what the store says. */
  readonly #used = new Map<string, number>();
  /** When it was last tried to note that, by id. */
  readonly #noted = new Map<string, number>();

  constructor(deps: ApiTokenDeps) {
    this.#deps = deps;
  }

  list(): ApiTokenView[] {
    return [...this.#deps.records.tokens.values()]
      .map((record) => this.#view(record))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  async create({ name, scope, days }: NewApiToken, by: string): Promise<MadeApiToken> {
    const { records, clock } = this.#deps;
    const token = `${PREFIX}${randomBytes(32).toString('base64url')}`;
    const now = clock.now();
    const record: ApiTokenRecord = {
      id: randomBytes(6).toString('hex'),
      name,
      scope,
      hash: hashOf(token),
      createdAt: new Date(now).toISOString(),
      by,
      lastUsedAt: null,
      expiresAt: days === null ? null : new Date(now + days * DAY_MS).toISOString(),
    };
    await records.transact(() => {
      if ([...records.tokens.values()].some((other) => other.name === name))
        throw new CerebroError('conflict', `there is a token "${name}" already; revoke it, or take another name`);
      if (records.tokens.size >= MOST_TOKENS)
        throw new CerebroError('conflict', `there are ${MOST_TOKENS} tokens; revoke those that nobody uses any more`);
      const until = days === null ? '' : `, for ${days} ${days === 1 ? 'day' : 'days'}`;
      return {
        write: [{ put: keys.token(record.id), value: record }],
        events: [{ level: 'info', kind: 'token-created', message: `token "${name}" may ${scope}${until}`, by }],
      };
    });
    return { token, about: this.#view(record) };
  }

  async revoke(which: string, by: string): Promise<ApiTokenView> {
    const { records } = this.#deps;
    const found = this.#view(this.#find(which));
    await records.transact(() => {
      const { id, name } = this.#find(found.id);
      return {
        write: [{ delete: keys.token(id) }],
        events: [{ level: 'info', kind: 'token-revoked', message: `token "${name}" is revoked`, by }],
      };
    });
    this.#used.delete(found.id);
    this.#noted.delete(found.id);
    return found;
  }

  /** Who has this token, and notes that it was used; null: it is none of ours, or no longer. */
  holderOf(token: string): ApiTokenView | null {
    if (!token.startsWith(PREFIX)) return null;
    // A look-up by hash tells nothing about the token by the time that it takes.
    const hash = hashOf(token);
    for (const record of this.#deps.records.tokens.values()) if (record.hash === hash) return this.holder(record.id);
    return null;
  }

  /** The same by its id, for who signed in with it. */
  holder(id: string): ApiTokenView | null {
    const record = this.#deps.records.tokens.get(id);
    const now = this.#deps.clock.now();
    if (!record || (record.expiresAt !== null && Date.parse(record.expiresAt) <= now)) return null;
    this.#used.set(id, now);
    this.#noteUse(record, now);
    return this.#view(record);
  }

  #noteUse(record: ApiTokenRecord, now: number): void {
    const { records, logger } = this.#deps;
    const noted = Math.max(Date.parse(record.lastUsedAt ?? '1970'), this.#noted.get(record.id) ?? 0);
    if (now - noted < NOTE_USE_MS) return;
    this.#noted.set(record.id, now);
    records
      .transact(() => {
        const current = records.tokens.get(record.id);
        const lastUsedAt = new Date(now).toISOString();
        return current
          ? { write: [{ put: keys.token(record.id), value: { ...current, lastUsedAt } }], events: [] }
          : null;
      })
      // A cluster sitter that stands by may not write, and a store may be away: the use itself is no less valid for it.
      .catch((error: unknown) => logger.debug({ token: record.name, err: error }, 'the use of a token was not noted'));
  }

  #find(which: string): ApiTokenRecord {
    const all = [...this.#deps.records.tokens.values()];
    const found = all.find(({ id }) => id === which) ?? all.find(({ name }) => name === which);
    if (found) return found;
    const names = all.map(({ name }) => name);
    throw new CerebroError('not_found', `there is no token "${which}"${didYouMean(which, names)}`);
  }

  #view({ hash: _hash, ...record }: ApiTokenRecord): ApiTokenView {
    const used = this.#used.get(record.id);
    const lastUsedAt = used === undefined ? record.lastUsedAt : new Date(used).toISOString();
    return { ...record, lastUsedAt };
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
