/** How far something is that takes its time: a machine on its way, a recipe on a machine. It is shown and never stored, and no evidence of anything. */
export interface Progress {
  /** What is done now, in words: `node-v20 is brought there, 38 MB`; null: nothing, until the next try. */
  step: string | null;
  /** How much of that step is done, 0 to 100; null: nobody can tell. */
  percent: number | null;
  /** Why the last try failed; null: none has. */
  failure: Failure | null;
}

export interface Failure {
  sentence: string;
  /** How many tries have failed, this one among them. */
  attempts: number;
  /** When it failed (ms since the epoch). */
  at: number;
}
