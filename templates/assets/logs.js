// The live view of logs: lines of one copy or several, as they come. What is kept is bounded, so a page may stay open for days.

import { ansiNodes } from './ansi.js';
import { LogLines, MOST_LINES } from './log-lines.js';
import { LogSearch } from './log-search.js';
import { LogStream } from './log-stream.js';
import { LogWindow } from './log-window.js';

const LONGEST_LINE = 20_000;
/** What each copy shows of its past, unless a time or a run is named. */
const TAIL = 500;
/** The pasts of several copies come one after the other: they are waited for, to be put in the order of their times. */
const GATHER_MS = 400;
const GATHER_AT_MOST_MS = 5000;
/** More lines than these are not taken in at one time: the page draws in between. */
const TAKEN_AT_ONCE = 3000;

class LogView {
  #root;
  #box;
  #state;
  #streams;
  #names;
  #waiting = [];
  #lines = new LogLines();
  #search = new LogSearch();
  #window;
  #only = false;
  #current = null;
  #number = 0;
  /** source -> the run that its last line was of */
  #runs = new Map();
  #lost = 0;
  #paused = false;
  #scheduled = false;
  #gatherUntil = 0;
  #problems = new Map();
  /** Those that have answered, or could not. */
  #answered = new Set();

  constructor(root) {
    this.#root = root;
    this.#box = root.querySelector('.loglines');
    this.#state = root.querySelector('.state');
    const sources = [...root.querySelectorAll('[data-source]')];
    this.#names = sources.length > 1;
    if (this.#names) this.#gatherUntil = performance.now() + GATHER_AT_MOST_MS;
    this.#streams = sources.map(({ dataset }, index) => {
      const { source, name } = dataset;
      const address = /[?&](since|run)=/.test(source) ? source : `${source}&tail=${TAIL}`;
      return new LogStream(address, {
        onLine: (line) => this.#take({ ...line, name, index }),
        onState: (state, sentence) => this.#tell(name, state, sentence),
      });
    });
    this.#box.hidden = false;
    root.querySelector('.logbar').hidden = false;
    this.#window = new LogWindow(this.#box, this.#lines, (line) => this.#drawLine(line));
    root.addEventListener('click', (event) => this.#click(event.target.closest('[data-do]')));
    root.addEventListener('input', (event) => this.#input(event.target));
    root.addEventListener('keydown', (event) => this.#key(event));
    this.#say();
  }

  start() {
    for (const stream of this.#streams) stream.start();
  }

  stop() {
    for (const stream of this.#streams) stream.stop();
  }

  #take({ line, run, stream, at, name, index }) {
    const text = line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} …` : line;
    this.#waiting.push({ text, run, stream, at, name, index });
    // While it is paused, or hidden from its reader, the oldest that nobody has seen make room.
    if (this.#waiting.length > MOST_LINES * 1.1) {
      this.#lost += this.#waiting.length - MOST_LINES;
      this.#waiting = this.#waiting.slice(-MOST_LINES);
    }
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#takeIn();
    });
  }

  #takeIn() {
    if (performance.now() < this.#gatherUntil) {
      setTimeout(() => this.#schedule(), GATHER_MS / 4);
      return;
    }
    if (!this.#paused && this.#waiting.length > 0) {
      // By the times at which they were written, as far as these are known; each copy's own lines are in order already.
      if (this.#names) this.#waiting.sort((a, b) => (a.at ?? b.at ?? 0) - (b.at ?? a.at ?? 0));
      const gone = [];
      const goneOfFound = [];
      for (const line of this.#waiting.splice(0, TAKEN_AT_ONCE)) {
        if (this.#runs.get(line.index) !== line.run) {
          if (this.#runs.has(line.index))
            gone.push(...this.#add({ ...line, text: `run ${line.run} begins`, divider: true }));
          this.#runs.set(line.index, line.run);
        }
        gone.push(...this.#add(line));
        goneOfFound.push(...(this.#search.take(line) ?? []));
      }
      this.#window.update(this.#only ? goneOfFound : gone);
      if (this.#waiting.length > 0) this.#schedule();
    }
    this.#say();
  }

  #add(line) {
    line.number = this.#number;
    this.#number += 1;
    return this.#lines.push(line);
  }

  #drawLine(line) {
    const { text, stream, name, index, at } = line;
    const row = document.createElement('div');
    row.className = line.divider ? 'row divider' : stream === 'stderr' ? 'row stderr' : 'row';
    if (this.#search.wanted !== '' && !line.divider && this.#search.fits(line)) row.classList.add('hit');
    if (line === this.#current) row.classList.add('current');
    if (at) row.append(label(new Date(at).toISOString().slice(11, 23), 'at'));
    if (this.#names) row.append(label(name, `name c${index % 6}`));
    if (stream === 'stderr' && !line.divider) row.append(label('err', 'stream'));
    row.append(...ansiNodes(text));
    return row;
  }

  #click(button) {
    const what = button?.dataset.do;
    if (what === 'pause') {
      this.#paused = !this.#paused;
      button.setAttribute('aria-pressed', String(this.#paused));
      button.textContent = this.#paused ? 'Go on' : 'Pause';
      this.#schedule();
    } else if (what === 'clear') {
      this.#lines.clear();
      this.#search.found.clear();
      this.#lost = 0;
      this.#window.show(this.#shown());
      this.#say();
    } else if (what === 'end') this.#window.toEnd();
    else if (what === 'previous') this.#step(-1);
    else if (what === 'next') this.#step(1);
  }

  #input(field) {
    const what = field.dataset.do;
    if (what === 'wrap' || what === 'times') {
      this.#box.classList.toggle(what, field.checked);
      this.#window.show(this.#shown());
    } else if (what === 'only') {
      this.#only = field.checked;
      this.#window.show(this.#shown());
      this.#say();
    } else if (what === 'search') {
      this.#current = null;
      let drawn = false;
      void this.#search.look(field.value, this.#lines, () => {
        if (!drawn || this.#only) this.#window.show(this.#shown());
        drawn = true;
        this.#say();
      });
    }
  }

  #key(event) {
    if (event.target.dataset?.do !== 'search' || event.key !== 'Enter') return;
    event.preventDefault();
    this.#step(event.shiftKey ? -1 : 1);
  }

  /** To the next line with what is looked for, or the one before: from the last one, or else from what is in view. */
  #step(by) {
    const { found } = this.#search;
    if (found.count === 0) return;
    const from =
      this.#current && found.indexOf(this.#current) >= 0 ? found.indexOf(this.#current) : this.#besideView(by);
    const line = found.at((from + by + found.count) % found.count);
    const before = this.#current;
    this.#current = line;
    if (before) for (const row of this.#box.querySelectorAll('.current')) row.classList.remove('current');
    this.#window.toLine(line)?.classList.add('current');
    this.#say();
  }

  /** The place among what was found that is just before (or after) the first line in view. */
  #besideView(by) {
    const { found } = this.#search;
    const first = this.#window.firstInView();
    let place = 0;
    while (first && place < found.count && found.at(place).number < first.number) place += 1;
    return by > 0 ? place - 1 : place;
  }

  #shown() {
    return this.#only && this.#search.wanted !== '' ? this.#search.found : this.#lines;
  }

  #tell(name, state, sentence) {
    if (!this.#answered.has(name)) {
      this.#answered.add(name);
      const soon = performance.now() + GATHER_MS;
      if (this.#answered.size === this.#streams.length) this.#gatherUntil = Math.min(this.#gatherUntil, soon);
    }
    if (state === 'open') this.#problems.delete(name);
    else this.#problems.set(name, `${name}: ${sentence}${state === 'lost' ? '; trying again…' : '.'}`);
    this.#say();
  }

  #say() {
    const told = [...this.#problems.values()];
    const { wanted, found, done } = this.#search;
    if (wanted !== '') {
      const place = this.#current ? found.indexOf(this.#current) + 1 : 0;
      const count = `${found.count} ${found.count === 1 ? 'line has' : 'lines have'} it`;
      told.push(`${place > 0 ? `Number ${place} of ${found.count}` : count}${done ? '.' : '; still looking…'}`);
    }
    if (this.#paused)
      told.push(`Paused; ${this.#waiting.length} new ${this.#waiting.length === 1 ? 'line waits' : 'lines wait'}.`);
    else if (this.#lines.count === 0 && told.length === 0) told.push('Nothing was written yet.');
    if (this.#lines.dropped + this.#lost > 0)
      told.push(`Older lines are left out here: the newest ${MOST_LINES.toLocaleString('en')} are kept.`);
    const text = told.join(' ');
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#root.dataset.lines = String(this.#lines.count);
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
