import { z } from 'zod';

export const secretName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_.-]{0,99}$/,
    "a secret's name begins with a letter and goes on with letters, digits, _, . and -, at most 100 in all",
  );

/** What stands in a configuration in the place of a secret: its name. */
export const secretRef = z.strictObject({ secret: secretName });
export type SecretRef = z.infer<typeof secretRef>;

/** Longer is no password, and would not go into an environment. */
const MAX_LENGTH = 65_536;

export const secretValue = z
  .string()
  .min(1, 'a secret may not be empty')
  .max(MAX_LENGTH, `a secret has at most ${MAX_LENGTH} characters`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL cannot stand in an environment
  .regex(/^[^\u0000]*$/, 'expected text without NUL');

/** One value of a secret, as it is kept: sealed with AES-256-GCM, which also proves that name and number are its own. */
const sealedValue = z.object({
  version: z.number().int(),
  /** Which key it was sealed with: the beginning of the key's SHA-256. */
  key: z.string(),
  /** Nonce, tag and text, in base64. */
  sealed: z.string(),
  at: z.string(),
  by: z.string(),
});
export type SealedValue = z.infer<typeof sealedValue>;

/** A secret as it stands in the store: the newest value last, before it those that versions of jobs still name. */
export const secretRecord = z.object({ name: secretName, values: z.array(sealedValue).min(1) });
export type SecretRecord = z.infer<typeof secretRecord>;

/** What people are shown of a secret. Times are ISO. */
export const secretView = z.object({
  name: z.string(),
  version: z.number(),
  setAt: z.string(),
  by: z.string(),
  /** The jobs whose copies are given it. */
  jobs: z.array(z.string()),
});
export type SecretView = z.infer<typeof secretView>;
