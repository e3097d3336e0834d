import { z } from 'zod';

/** What a caller may do: look; change jobs, copies and machines; change the cluster itself, and hand out tokens. */
export const tokenScope = z.enum(['read', 'operate', 'admin']);
export type TokenScope = z.infer<typeof tokenScope>;

export const tokenScopeWords: Readonly<Record<TokenScope, string>> = {
  read: 'look at everything, change nothing',
  operate: 'change jobs, copies and machines too',
  admin: 'everything: settings, backups and tokens too',
};

const RANK: Readonly<Record<TokenScope, number>> = { read: 0, operate: 1, admin: 2 };

/** Whether who holds `held` may do what needs `needed`. */
export function scopeCovers(held: TokenScope, needed: TokenScope): boolean {
  return RANK[held] >= RANK[needed];
}

/** For people; what stands on the timeline beside what was done with it. */
export const apiTokenName = z
  .string()
  .trim()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9 ._@-]{0,63}$/, 'expected 1 to 64 letters, digits, blanks and . _ @ -')
  .refine((name) => name.toLowerCase() !== 'admin', 'that is what the one in the data folder is called');

/** What is asked for. `days`: after which it ends; null: when it is revoked. */
export const newApiToken = z.strictObject({
  name: apiTokenName.refine((name) => name.toLowerCase() !== 'admin', 'the token in admin.token is called that'),
  scope: tokenScope,
  days: z.number().int().min(1).max(3650).nullable().default(null),
});
export type NewApiToken = z.infer<typeof newApiToken>;

/** What the store keeps. The token itself is nowhere: only who has it can show it. */
export const apiTokenRecord = z.object({
  id: z.string().min(1),
  name: apiTokenName,
  scope: tokenScope,
  /** SHA-256 of the token, in hexadecimal. It is 256 random bits, so nothing slower is needed to keep it from being guessed. */
  hash: z.string().length(64),
  createdAt: z.string(),
  by: z.string(),
  /** ISO, to the minute; null: never. */
  lastUsedAt: z.string().nullable(),
  expiresAt: z.string().nullable(),
});
export type ApiTokenRecord = z.infer<typeof apiTokenRecord>;

export const apiTokenView = apiTokenRecord.omit({ hash: true });
export type ApiTokenView = z.infer<typeof apiTokenView>;

/** The one answer that shows the token. */
export const madeApiToken = z.object({ token: z.string(), about: apiTokenView });
export type MadeApiToken = z.infer<typeof madeApiToken>;
