import { z } from 'zod';

/** What the cluster sitter that leads writes into the store, for those that stand by. It stays there when its writer is gone. */
export const leaderRecord = z.strictObject({
  /** Where the other cluster sitters reach it; they speak mutual TLS there. */
  url: z.url({ protocol: /^https?$/ }),
  epoch: z.number().int(),
  /** Of that process alone: the next start of the same cluster sitter has another. */
  sitter: z.string().min(1),
});
export type LeaderRecord = z.infer<typeof leaderRecord>;
