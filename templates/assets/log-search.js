// Looks for a text in the lines of a log, a slice at a time: a hundred thousand lines take longer than a page may stand still.

import { withoutAnsi } from './ansi.js';
import { LogLines } from './log-lines.js';

/** So long it looks before it lets the page do something else. */
const SLICE_MS = 12;

export class LogSearch {
  /** What is looked for, in small letters; '': nothing. */
  wanted = '';
  /** The lines in which it stands. */
  found = new LogLines();
  /** Whether all lines have been looked through. */
  done = true;
  /** Lines that fit and came while it looked: they go behind those that were there. */
  #late = [];
  #turn = 0;

  /** Looks through `lines`; `onProgress()` is called now and then, and at the end. */
  async look(text, lines, onProgress) {
    this.wanted = withoutAnsi(text).trim().toLowerCase();
    this.found = new LogLines();
    this.#late = [];
    this.#turn += 1;
    const turn = this.#turn;
    this.done = this.wanted === '';
    // As they are now: while it looks, blocks make room, and the last one grows.
    const parts = this.done ? [] : lines.blocks.map((block) => [block.lines, block.lines.length]);
    let sliceBegan = performance.now();
    for (const [part, length] of parts) {
      for (let i = 0; i < length; i++) if (this.fits(part[i])) this.found.push(part[i]);
      if (performance.now() - sliceBegan < SLICE_MS) continue;
      onProgress();
      await new Promise((resume) => setTimeout(resume));
      // Something else is looked for by now.
      if (turn !== this.#turn) return;
      sliceBegan = performance.now();
    }
    for (const line of this.#late) this.found.push(line);
    this.#late = [];
    this.done = true;
    onProgress();
  }

  /** A line that came after the search had begun; gives the blocks that made room for it, null where it does not fit. */
  take(line) {
    if (this.wanted === '' || !this.fits(line)) return null;
    if (this.done) return this.found.push(line);
    this.#late.push(line);
    return [];
  }

  fits({ text }) {
    const plain = text.includes('\x1b') ? withoutAnsi(text) : text;
    return plain.toLowerCase().includes(this.wanted);
  }
}
