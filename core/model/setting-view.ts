import { z } from 'zod';

/** Where a setting's value came from; each wins over those before it. */
export const settingOrigin = z.enum(['default', 'file', 'flag', 'run time']);
export type SettingOrigin = z.infer<typeof settingOrigin>;

/** What a daemon was started with, beyond the defaults. */
export interface SettingOrigins {
  /** The settings file as it was named; null: there is none. */
  file: string | null;
  inFile: readonly string[];
  inFlags: readonly string[];
}

export const settingView = z.object({
  key: z.string(),
  /** As it would stand in cerebro.yaml, in JSON; null: not set, and nothing is the default. A secret is never in here. */
  value: z.string().nullable(),
  /** Whether there is a value that is not shown. */
  secret: z.boolean(),
  origin: settingOrigin,
  /** The file, for what came from there. */
  file: z.string().nullable(),
  /** What it would be were it not set, in JSON. */
  default: z.string().nullable(),
});
export type SettingView = z.infer<typeof settingView>;
