import { z } from 'zod';

/** By what a daemon knows its callers: the admin's bearer token, and the key (base64url) that signs sessions of browsers. */
export const access = z.strictObject({ token: z.string().min(16), sessionKey: z.string().min(32) });
export type Access = z.infer<typeof access>;
