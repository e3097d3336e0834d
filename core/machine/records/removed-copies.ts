import { CerebroError } from '../../errors.ts';

/** Beyond this many the oldest are forgotten: what is so late has long lost its connection. */
const KEPT = 10_000;

/**
 * The copies that the leading cluster sitter had removed here. Their ids are not used again, so an order to start one was overtaken
 * by its removal, on a way of its own; were it obeyed, what may run only once could run twice. With a new leader all is forgotten:
 * older orders are refused by their epoch then.
 */
export class RemovedCopies {
  #epoch: number | null = null;
  readonly #ids = new Set<string>();

  /** A copy is to be removed, by an order of this epoch; null: a person's, who may add a task of that name again. */
  remember(id: string, epoch: number | null): void {
    if (epoch === null) return;
    this.#follow(epoch);
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > KEPT && oldest !== undefined) this.#ids.delete(oldest);
  }

  /** Throws `conflict` for an order that came after the removal of its copy. */
  check(id: string, epoch: number | null): void {
    if (epoch === null) return;
    this.#follow(epoch);
    if (!this.#ids.has(id)) return;
    throw new CerebroError(
      'conflict',
      `"${id}" was removed by the same cluster sitter that this order is of, so the order is the older one; nothing was done`,
    );
  }

  #follow(epoch: number): void {
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#ids.clear();
  }
}
