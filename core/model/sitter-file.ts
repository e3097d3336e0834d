import { z } from 'zod';

/** `sitter.json` in the data folder of a running daemon: which process has the folder, and where it listens. */
export const sitterFile = z.object({
  pid: z.number().int(),
  startTime: z.number(),
  bootId: z.string(),
  url: z.string(),
  mode: z.enum(['machine', 'cluster']),
  /** Of the program that runs; absent in files of programs that did not say it. */
  version: z.string().optional(),
});
export type SitterFile = z.infer<typeof sitterFile>;
