import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../contracts/logger.ts';
import { CerebroError } from '../../errors.ts';

/**
 * The newest epoch that a command has come with. It is kept in a file, so that a cluster sitter that was succeeded while this
 * daemon was away is refused too.
 */
export class HeardEpoch {
  readonly #path: string;
  readonly #logger: Logger;
  #epoch = 0;

  constructor(folder: string, logger: Logger) {
    this.#path = join(folder, 'epoch');
    this.#logger = logger;
  }

  get epoch(): number {
    return this.#epoch;
  }

  load(): void {
    if (!existsSync(this.#path)) return;
    const text = this.#text();
    if (/^\d{1,15}$/.test(text)) this.#epoch = Number(text);
    else
      this.#logger.error({ file: this.#path }, 'the file of the epoch cannot be read; the next command says it anew');
  }

  #text(): string {
    try {
      return readFileSync(this.#path, 'utf8').trim();
    } catch {
      return ''; // as good as damaged, which the caller says
    }
  }

  /**
   * Refuses (`forbidden`) commands of a cluster sitter that has been succeeded: its epoch is older than one that was heard here.
   * A caller without an epoch is a person with the machine's token.
   */
  check(epoch: number | null): void {
    if (epoch === null || epoch === this.#epoch) return;
    if (epoch < this.#epoch) {
      throw new CerebroError(
        'forbidden',
        `this command is of epoch ${epoch}, but epoch ${this.#epoch} leads by now; nothing was done`,
      );
    }
    this.#epoch = epoch;
    try {
      writeFileSync(`${this.#path}.new`, `${epoch}\n`, { mode: 0o640 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      // A full disk must not keep the rightful leader from ending tasks that fill it.
      this.#logger.error({ err: error, epoch }, 'the epoch could not be kept; it is forgotten with this daemon');
    }
  }
}
