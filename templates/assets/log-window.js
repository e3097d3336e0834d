// Draws only those lines of a log that are near the view: a hundred thousand cost no more than a thousand.

import { BLOCK_LINES } from './log-lines.js';

/** Drawn beyond each edge of the view, in views: enough that a flick of the wheel meets lines that are there. */
const BEYOND = 1;
/** This near to the end, one is at the end and wants to stay there. */
const NEAR_PX = 40;
/** Of a line before any was drawn. */
const USUAL_PX = 19;

export class LogWindow {
  #box;
  #drawLine;
  #lines;
  /** Keep the place of what is not drawn. */
  #above = document.createElement('div');
  #below = document.createElement('div');
  /** block -> its element */
  #drawn = new Map();
  /**
   * Of one line, in px, for blocks that were not drawn: the average of the first that were. It stays as it is, since what it is multiplied with is
   * large: a hundredth of a pixel moves all that stands below by as much as the view is high.
   */
  #lineHeight = null;
  #width = 0;
  /** Whether the end is to stay in view. */
  #atEnd = true;
  /** Where we scrolled to last: what is scrolled to another place was scrolled by the reader. */
  #placed = 0;

  /** `drawLine(line)` gives the element of one line. */
  constructor(box, lines, drawLine) {
    this.#box = box;
    this.#lines = lines;
    this.#drawLine = drawLine;
    box.replaceChildren(this.#above, this.#below);
    box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // At once: lines that come before the next frame must not take the view back to the end.
    box.addEventListener('wheel', ({ deltaY }) => deltaY < 0 && this.#leaveEnd(), { passive: true });
    box.addEventListener('keydown', ({ key }) => /^(ArrowUp|PageUp|Home)$/.test(key) && this.#leaveEnd());
    new ResizeObserver(() => this.#resized()).observe(box);
  }

  /** Shows other lines, or the same ones drawn in another way; what stood at the top stays there if it can. */
  show(lines) {
    const anchor = this.#atEnd ? null : this.#firstInView();
    this.#lines = lines;
    this.#forget();
    this.#layOut();
    if (this.#atEnd) this.toEnd();
    else if (anchor) this.#toIndex(nearest(lines, anchor), 0);
  }

  /** There are more lines, or (`gone`) fewer. */
  update(gone = []) {
    let lost = 0;
    for (const block of gone) {
      lost += this.#heightOf(block);
      this.#drawn.get(block)?.remove();
      this.#drawn.delete(block);
    }
    // The block that was the last one has grown, and may not be the last any more.
    for (const [block, element] of this.#drawn)
      for (const line of block.lines.slice(element.childElementCount)) element.append(this.#drawLine(line));
    if (lost > 0 && !this.#atEnd) this.#scrollTo(this.#box.scrollTop - lost);
    this.#layOut();
    if (this.#atEnd) this.toEnd();
  }

  toEnd() {
    this.#atEnd = true;
    // What is drawn for the first time is seldom as high as it was taken to be.
    for (let attempt = 0; attempt < 4; attempt++) {
      this.#scrollTo(this.#box.scrollHeight);
      if (!this.#layOut()) break;
    }
    this.#scrollTo(this.#box.scrollHeight);
  }

  /** Brings a line into the middle of the view; gives its element, or null where there is no such line. */
  toLine(line) {
    const index = this.#lines.indexOf(line);
    if (index < 0) return null;
    this.#atEnd = false;
    this.#toIndex(index, this.#box.clientHeight / 2);
    return this.#elementOf(index);
  }

  /** The first line of which something can be seen. */
  firstInView() {
    return this.#firstInView();
  }

  #firstInView() {
    const top = this.#box.getBoundingClientRect().top;
    for (const block of this.#lines.blocks) {
      const element = this.#drawn.get(block);
      if (!element || element.getBoundingClientRect().bottom <= top) continue;
      const row = [...element.children].findIndex((child) => child.getBoundingClientRect().bottom > top + 1);
      return block.lines[Math.max(0, row)];
    }
    return undefined;
  }

  #elementOf(index) {
    const block = this.#lines.blocks[Math.floor(index / BLOCK_LINES)];
    return this.#drawn.get(block)?.children[index % BLOCK_LINES] ?? null;
  }

  #toIndex(index, fromTop) {
    const at = Math.floor(index / BLOCK_LINES);
    let top = 0;
    for (const block of this.#lines.blocks.slice(0, at)) top += this.#heightOf(block);
    this.#scrollTo(top + (index % BLOCK_LINES) * this.#heightOfLine() - fromTop);
    this.#layOut();
    // Now that it is drawn, its place is known.
    const element = this.#elementOf(index);
    if (!element) return;
    const off = element.getBoundingClientRect().top - this.#box.getBoundingClientRect().top - fromTop;
    this.#scrollTo(this.#box.scrollTop + off);
    this.#layOut();
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    const fromEnd = scrollHeight - scrollTop - clientHeight;
    if (Math.abs(scrollTop - this.#placed) > 1) this.#atEnd = fromEnd < NEAR_PX;
    // The blocks that are drawn now may be higher than they were taken to be, and push the end out of view.
    this.#layOut();
    if (this.#atEnd) this.#scrollTo(this.#box.scrollHeight - clientHeight - fromEnd);
  }

  #scrollTo(top) {
    this.#box.scrollTop = top;
    // Beyond its ends nothing is scrolled.
    this.#placed = this.#box.scrollTop;
  }

  #leaveEnd() {
    if (this.#box.scrollTop > 0) this.#atEnd = false;
  }

  #resized() {
    if (this.#box.clientWidth === this.#width) {
      this.#layOut();
      if (this.#atEnd) this.toEnd();
      return;
    }
    this.#width = this.#box.clientWidth;
    for (const block of this.#lines.blocks) block.height = null;
    this.show(this.#lines);
  }

  #forget() {
    for (const element of this.#drawn.values()) element.remove();
    this.#drawn.clear();
    for (const block of this.#lines.blocks) block.height = null;
    this.#lineHeight = null;
  }

  #heightOf(block) {
    return block.height ?? block.lines.length * this.#heightOfLine();
  }

  #heightOfLine() {
    return this.#lineHeight ?? USUAL_PX;
  }

  /** Draws what is near the view and takes away what is not. Gives whether something is drawn that was not. */
  #layOut() {
    const { scrollTop, clientHeight } = this.#box;
    const from = scrollTop - BEYOND * clientHeight;
    const to = scrollTop + (1 + BEYOND) * clientHeight;
    const wanted = [];
    let [top, above, below] = [0, 0, 0];
    for (const block of this.#lines.blocks) {
      const height = this.#heightOf(block);
      if (top + height < from) above += height;
      else if (top > to) below += height;
      else wanted.push(block);
      top += height;
    }
    const keep = new Set(wanted);
    for (const [block, element] of this.#drawn) {
      if (keep.has(block)) continue;
      element.remove();
      this.#drawn.delete(block);
    }
    let fresh = false;
    let before = this.#below;
    for (const block of wanted.reverse()) {
      let element = this.#drawn.get(block);
      if (!element) {
        element = document.createElement('div');
        element.append(...block.lines.map((line) => this.#drawLine(line)));
        this.#drawn.set(block, element);
        fresh = true;
      }
      if (element.nextSibling !== before) before.before(element);
      before = element;
    }
    this.#above.style.height = `${above}px`;
    this.#below.style.height = `${below}px`;
    this.#measure(wanted, scrollTop, above);
    return this.#learnHeight(wanted) ? this.#layOut() || fresh : fresh;
  }

  /** Takes up how high the drawn blocks are; what is above the view must not push it down by being higher than it was taken to be. */
  #measure(wanted, scrollTop, above) {
    let [shift, top] = [0, above];
    for (const block of wanted.reverse()) {
      const measured = this.#drawn.get(block).offsetHeight;
      const taken = this.#heightOf(block);
      if (top + taken <= scrollTop) shift += measured - taken;
      top += taken;
      block.height = measured;
    }
    if (shift !== 0 && !this.#atEnd) this.#scrollTo(scrollTop + shift);
  }

  /** Gives whether blocks that are not drawn are taken to be of another height now. */
  #learnHeight(measured) {
    if (this.#lineHeight !== null || measured.length === 0) return false;
    let [height, lines] = [0, 0];
    for (const block of measured) {
      height += block.height;
      lines += block.lines.length;
    }
    // A box that is not shown tells nothing.
    if (height > 0) this.#lineHeight = height / lines;
    return height > 0;
  }
}

/** Where `line` stands, or the first after it. */
function nearest(lines, line) {
  let [low, high] = [0, lines.count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines.at(middle).number < line.number) low = middle + 1;
    else high = middle;
  }
  return Math.min(low, Math.max(0, lines.count - 1));
}
