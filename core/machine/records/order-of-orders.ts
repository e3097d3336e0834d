import { CerebroError } from '../../errors.ts';

/** Beyond this many copies the oldest are forgotten: what is so late has long lost its connection. */
const KEPT = 10_000;

/** What an order of a cluster sitter says of itself. */
export interface OrderMark {
  /** Of the one that leads. */
  epoch: number;
  /** Counts the orders of this epoch; null: from a cluster sitter that does not count them yet. */
  serial: number | null;
}

/**
 * The last orders for each copy from the cluster sitter that leads. Each goes its own way, so one that was given up long ago may come
 * after a newer one. Were it obeyed, what was removed (and may run only once) would run again, for the ids of copies are not used
 * again; and what was updated would be put back, in the middle of its service. With a new leader all is forgotten: older orders are
 * refused by their epoch then. Null stands for a person's order, who may do as he likes.
 */
export class OrderOfOrders {
  #epoch: number | null = null;
  readonly #removed = new Set<string>();
  readonly #last = new Map<string, number>();

  /** A copy is to be removed. */
  remove(id: string, mark: OrderMark | null): void {
    if (mark === null) return;
    this.#follow(mark.epoch);
    this.#last.delete(id);
    this.#removed.add(id);
    const [oldest] = this.#removed;
    if (this.#removed.size > KEPT && oldest !== undefined) this.#removed.delete(oldest);
  }

  /** A copy is to be as it is ordered. Throws `conflict` where a newer order, or its removal, came first. */
  put(id: string, mark: OrderMark | null): void {
    if (mark === null) return;
    const { epoch, serial } = mark;
    this.#follow(epoch);
    if (this.#removed.has(id))
      throw new CerebroError(
        'conflict',
        `"${id}" was removed by the same cluster sitter that this order is of, so the order is the older one; nothing was done`,
      );
    if (serial === null) return;
    if (serial < (this.#last.get(id) ?? 0))
      throw new CerebroError(
        'conflict',
        `a newer order for "${id}", of the same cluster sitter, came before this one; nothing was done`,
      );
    // The one that was ordered last is the last to be forgotten.
    this.#last.delete(id);
    this.#last.set(id, serial);
    const [oldest] = this.#last.keys();
    if (this.#last.size > KEPT && oldest !== undefined) this.#last.delete(oldest);
  }

  #follow(epoch: number): void {
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#removed.clear();
    this.#last.clear();
  }
}
