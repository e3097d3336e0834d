// The lines of a log in memory: the newest are kept, in blocks of one size, so that a page may stay open for days.

export const BLOCK_LINES = 100;
export const MOST_LINES = 100_000;
/** Long lines count for what they are: this is about 60 MB. */
const MOST_CHARACTERS = 30_000_000;

export class LogLines {
  /** Oldest first; all but the last are full. `height`: as the browser last had it, null where it has not been drawn. */
  blocks = [];
  count = 0;
  /** Lines that were here once and made room. */
  dropped = 0;
  #characters = 0;

  /** Gives the blocks that had to go. */
  push(line) {
    let block = this.blocks.at(-1);
    if (!block || block.lines.length === BLOCK_LINES) {
      block = { lines: [], characters: 0, height: null };
      this.blocks.push(block);
    }
    block.lines.push(line);
    block.characters += line.text.length;
    // What was measured was a shorter block.
    block.height = null;
    this.count += 1;
    this.#characters += line.text.length;
    const gone = [];
    while ((this.count > MOST_LINES || this.#characters > MOST_CHARACTERS) && this.blocks.length > 1) {
      const [oldest] = this.blocks.splice(0, 1);
      this.count -= oldest.lines.length;
      this.dropped += oldest.lines.length;
      this.#characters -= oldest.characters;
      gone.push(oldest);
    }
    return gone;
  }

  clear() {
    this.blocks = [];
    this.count = 0;
    this.dropped = 0;
    this.#characters = 0;
  }

  /** The line at a place, from 0; undefined beyond the end. */
  at(index) {
    return this.blocks[Math.floor(index / BLOCK_LINES)]?.lines[index % BLOCK_LINES];
  }

  /** Where a line stands, by its number: numbers grow, and not always by one. -1: it has made room. */
  indexOf(line) {
    let [low, high] = [0, this.count - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const { number } = this.at(middle);
      if (number === line.number) return middle;
      if (number < line.number) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}
