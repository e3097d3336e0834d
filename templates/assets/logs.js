// The live view of logs: lines of one copy or several, as they come. The list is bounded, so a page may stay open for days.

import { ansiNodes, withoutAnsi } from './ansi.js';
import { LogStream } from './log-stream.js';

/** Lines are drawn in blocks that the browser leaves out while they are not seen, and dropped by the block. */
const BLOCK_LINES = 200;
const MAX_LINES = 20_000;
const LONGEST_LINE = 20_000;
/** What each copy shows of its past, unless a time is named. */
const TAIL = 500;
/** This near to the end, one is at the end and wants to stay there. */
const NEAR_PX = 40;

class LogView {
  #lines;
  #state;
  #streams;
  #names;
  #waiting = [];
  #count = 0;
  #dropped = 0;
  #paused = false;
  #filter = '';
  #frame = null;
  #problems = new Map();

  constructor(root) {
    this.#lines = root.querySelector('.loglines');
    this.#state = root.querySelector('.state');
    const sources = [...root.querySelectorAll('[data-source]')];
    this.#names = sources.length > 1;
    this.#streams = sources.map(({ dataset }, index) => {
      const { source, name } = dataset;
      const address = /[?&]since=/.test(source) ? source : `${source}&tail=${TAIL}`;
      return new LogStream(address, {
        onLine: (line) => this.#take({ ...line, name, index }),
        onState: (state, sentence) => this.#tell(name, state, sentence),
      });
    });
    this.#lines.hidden = false;
    root.querySelector('.logbar').hidden = false;
    root.addEventListener('click', (event) => this.#click(event.target.closest('[data-do]')));
    root.addEventListener('input', (event) => this.#input(event.target));
    this.#say();
  }

  start() {
    for (const stream of this.#streams) stream.start();
  }

  stop() {
    for (const stream of this.#streams) stream.stop();
  }

  #take(line) {
    this.#waiting.push(line);
    // While it is paused (or the browser does not draw), the oldest that nobody has seen make room.
    if (this.#waiting.length > MAX_LINES) {
      this.#waiting.splice(0, BLOCK_LINES);
      this.#dropped += BLOCK_LINES;
    }
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = null;
    if (!this.#paused && this.#waiting.length > 0) {
      const box = this.#lines;
      const stay = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
      for (const line of this.#waiting) this.#append(line);
      this.#waiting = [];
      while (this.#count > MAX_LINES && box.firstElementChild !== box.lastElementChild) {
        this.#count -= box.firstElementChild.childElementCount;
        this.#dropped += box.firstElementChild.childElementCount;
        box.firstElementChild.remove();
      }
      if (stay) box.scrollTop = box.scrollHeight;
    }
    this.#say();
  }

  #append({ name, index, stream, line }) {
    let block = this.#lines.lastElementChild;
    if (!block || block.childElementCount >= BLOCK_LINES) {
      block = document.createElement('div');
      block.className = 'block';
      this.#lines.append(block);
    }
    const row = document.createElement('div');
    row.className = stream === 'stderr' ? 'row stderr' : 'row';
    if (this.#names) row.append(label(name, `name c${index % 6}`));
    if (stream === 'stderr') row.append(label('err', 'stream'));
    row.append(...ansiNodes(line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} …` : line));
    row.hidden = !this.#fits(row);
    block.append(row);
    this.#count += 1;
  }

  #fits(row) {
    return this.#filter === '' || row.textContent.toLowerCase().includes(this.#filter);
  }

  #click(button) {
    const what = button?.dataset.do;
    if (what === 'pause') {
      this.#paused = !this.#paused;
      button.setAttribute('aria-pressed', String(this.#paused));
      button.textContent = this.#paused ? 'Go on' : 'Pause';
      this.#frame ??= requestAnimationFrame(() => this.#draw());
    } else if (what === 'clear') {
      this.#lines.replaceChildren();
      this.#count = 0;
      this.#dropped = 0;
      this.#say();
    } else if (what === 'end') this.#lines.scrollTop = this.#lines.scrollHeight;
  }

  #input(field) {
    if (field.dataset.do === 'wrap') this.#lines.classList.toggle('wrap', field.checked);
    if (field.dataset.do !== 'filter') return;
    this.#filter = withoutAnsi(field.value).trim().toLowerCase();
    for (const row of this.#lines.querySelectorAll('.row')) row.hidden = !this.#fits(row);
  }

  #tell(name, state, sentence) {
    if (state === 'open') this.#problems.delete(name);
    else this.#problems.set(name, `${name}: ${sentence}${state === 'lost' ? '; trying again…' : ''}`);
    this.#say();
  }

  #say() {
    const told = [...this.#problems.values()];
    if (this.#paused)
      told.push(`Paused; ${this.#waiting.length} new ${this.#waiting.length === 1 ? 'line waits' : 'lines wait'}.`);
    else if (this.#count === 0 && told.length === 0) told.push('Nothing was written yet.');
    if (this.#dropped > 0) told.push(`Older lines are left out here: the newest ${MAX_LINES} are kept.`);
    const text = told.join(' ');
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }
}

function label(text, className) {
  const span = document.createElement('span');
  span.className = className;
  span.textContent = `${text} `;
  return span;
}

const views = [...document.querySelectorAll('[data-logs]')].map((root) => new LogView(root));
const start = () => {
  for (const view of views) view.start();
};
// A hidden page holds no connection: browsers allow six to one host, and tabs would use them up. It goes on where it was.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) start();
  else for (const view of views) view.stop();
});
if (!document.hidden) start();
