/** What a cluster sitter has done since it was started. */
export interface WorkCounts {
  passes: { done: number; failed: number };
  /** By what was done: `create-machine`, `deploy-copy`, … */
  effects: ReadonlyMap<string, { done: number; failed: number }>;
  /** The number of the newest event: how many there were since the cluster began. */
  events: number;
}
