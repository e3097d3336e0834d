/** Where one log of a run lies: its text, and what was cut off its head (see run-log.ts). */
export interface LogPlace {
  path: string;
  positionPath: string;
}
