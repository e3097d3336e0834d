import { readFileSync, writeFileSync } from 'node:fs';
import type { Logger } from '../../contracts/logger.ts';
import { messageOf } from '../../errors.ts';

const FILE = '/proc/self/oom_score_adj';
/** Far below every task, and above what only the kernel's own helpers have (-1000: never). */
const DAEMON_SCORE = -900;

/**
 * When memory is short, the kernel is to end a task and not its sitter. Lowering the score takes root (CAP_SYS_RESOURCE);
 * children inherit it, so whatever is started for a task has to set it back.
 */
export class OomShield {
  readonly #logger: Logger;
  #before: number | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The score that tasks are to have; null: they inherit the right one. */
  get tasksScore(): number | null {
    return this.#before;
  }

  start(): void {
    try {
      const before = Number(readFileSync(FILE, 'latin1'));
      if (!Number.isInteger(before) || before <= DAEMON_SCORE) return;
      writeFileSync(FILE, String(DAEMON_SCORE));
      this.#before = before;
    } catch (error) {
      this.#logger.debug({ reason: messageOf(error) }, 'the own OOM score was left as it is; lowering it takes root');
    }
  }

  stop(): void {
    if (this.#before === null) return;
    // Raising it is always allowed.
    writeFileSync(FILE, String(this.#before));
    this.#before = null;
  }
}
