import { CerebroError } from '../../errors.ts';
import { type Node, parsePattern } from './pattern-syntax.ts';

/** Says whether a line is wanted. It pauses after some work, since a long line can take long: who asks may do something else then. */
export type LinePattern = (line: string) => Generator<void, boolean>;

/** Steps of the compiled pattern; what repeats large groups hundreds of times is refused instead of being slow. */
const MAX_STEPS = 1000;
/** Groups of nothing take no steps, but time: so the parts that are built are counted too. */
const MAX_PARTS = 20_000;
/** States kept of the automaton; when there are more, it begins afresh: memory is bounded, and so is the time for a line. */
const MAX_STATES = 500;
/** What is not known yet of so much of a line is kept; a line that leads to more leads to ever new states, which only take time to keep. */
const MAX_UNKNOWN = 500;
/** So much of a line is looked at by an expression: the time for one line is bounded with it. */
const MAX_LINE = 16_384;
/** Steps that are looked at between two pauses: about a millisecond's work. */
const STEPS_BETWEEN_PAUSES = 30_000;

type Step =
  | { kind: 'char'; test: (code: number) => boolean; next: number }
  | { kind: 'split'; a: number; b: number }
  | { kind: 'edge'; at: 'start' | 'end'; next: number }
  | { kind: 'match' };

/**
 * What `grep=` means: `/…/` or `/…/i` is a regular expression, anything else is looked for as it stands. Expressions are matched
 * by an automaton, in one pass over the line whatever they are: there is none that takes exponential time. Back references and
 * look-around, which cannot be done so, are refused. Throws `invalid`, with the place.
 */
export function linePattern(text: string): LinePattern {
  const expression = /^\/(.*)\/(i?)$/s.exec(text);
  if (!expression) return plainText(text);
  const [, source = '', flags] = expression;
  return new Automaton(compile(parsePattern(source, flags === 'i'))).pattern();
}

function plainText(text: string): LinePattern {
  // biome-ignore lint/correctness/useYield: it takes no time to speak of
  return function* (line) {
    return line.includes(text);
  };
}

function compile(root: Node): Step[] {
  const steps: Step[] = [{ kind: 'match' }];
  const add = (step: Step): number => {
    if (steps.length >= MAX_STEPS) throw tooLarge();
    return steps.push(step) - 1;
  };
  // Built from the end to the beginning: each part knows what comes after it.
  let parts = 0;
  const build = (node: Node, next: number): number => {
    parts += 1;
    if (parts > MAX_PARTS) throw tooLarge();
    switch (node.kind) {
      case 'char':
        return add({ kind: 'char', test: node.test, next });
      case 'edge':
        return add({ kind: 'edge', at: node.at, next });
      case 'sequence':
        return node.parts.reduceRight((after, part) => build(part, after), next);
      case 'either':
        return node.parts.map((part) => build(part, next)).reduceRight((b, a) => add({ kind: 'split', a, b }));
      case 'repeat': {
        let after = next;
        if (node.max === null) {
          const loop = add({ kind: 'split', a: next, b: next });
          steps[loop] = { kind: 'split', a: build(node.part, loop), b: next };
          after = loop;
        } else {
          for (let i = node.min; i < node.max; i++) after = add({ kind: 'split', a: build(node.part, after), b: next });
        }
        for (let i = 0; i < node.min; i++) after = build(node.part, after);
        return after;
      }
    }
  };
  // The first step is found by position: it is the last that is added.
  add({ kind: 'split', a: 0, b: 0 });
  const first = build(root, 0);
  steps[1] = { kind: 'split', a: first, b: first };
  return steps;
}

function tooLarge(): CerebroError {
  return new CerebroError('invalid', 'grep: the expression is too large; repeat less, or look for plain text');
}

interface State {
  /** The steps that wait for a character. */
  steps: number[];
  matched: boolean;
  /** Character -> the state after it; null: this one is not kept, and is not come to again. */
  next: Map<number, State> | null;
}

interface Edges {
  atStart: boolean;
  atEnd: boolean;
}

/** The set of steps that a line has led to, one character at a time; sets that came up are kept. */
class Automaton {
  readonly #steps: readonly Step[];
  /** Step -> the last time that it was reached, by the count of `#times`. */
  readonly #reached: Float64Array;
  #times = 0;
  /** Steps that are still to be followed; empty between two characters. */
  readonly #open: number[] = [];
  #states = new Map<string, State>();

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    this.#reached = new Float64Array(steps.length);
  }

  pattern(): LinePattern {
    return (line) => this.#search(line.slice(0, MAX_LINE));
  }

  *#search(line: string): Generator<void, boolean> {
    let state = this.#kept(this.#after(null, 0, { atStart: true, atEnd: line.length === 0 }));
    let unknown = 0;
    let work = 0;
    for (let i = 0; i < line.length; i++) {
      if (state.matched) return true;
      const code = line.charCodeAt(i);
      const last = i === line.length - 1;
      // Whether the line ends here changes what follows; only the last character asks.
      const key = last ? -1 - code : code;
      let next = state.next?.get(key);
      if (!next) {
        next = this.#after(state, code, { atStart: false, atEnd: last });
        unknown += 1;
        if (unknown <= MAX_UNKNOWN) {
          next = this.#kept(next);
          if (state.next && state.next.size < 256) state.next.set(key, next);
        }
        // As if every step had been looked at: none is twice.
        work += this.#steps.length;
        if (work >= STEPS_BETWEEN_PAUSES) {
          yield;
          work = 0;
        }
      }
      state = next;
    }
    return state.matched;
  }

  /** Where a character leads to; null: where a line begins. A match may begin anywhere, so the first step is always followed too. */
  #after(state: State | null, code: number, edges: Edges): State {
    const after: State = { steps: [], matched: false, next: null };
    this.#times += 1;
    for (const at of state?.steps ?? []) {
      const step = this.#steps[at];
      if (step?.kind === 'char' && step.test(code)) this.#follow(step.next, edges, after);
    }
    this.#follow(1, edges, after);
    return after;
  }

  /** Follows everything that takes no character. */
  #follow(first: number, edges: Edges, into: State): void {
    const stack = this.#open;
    for (let at: number | undefined = first; at !== undefined; at = stack.pop()) {
      if (this.#reached[at] === this.#times) continue;
      this.#reached[at] = this.#times;
      const step = this.#steps[at];
      if (step?.kind === 'char') into.steps.push(at);
      else if (step?.kind === 'match') into.matched = true;
      else if (step?.kind === 'split') stack.push(step.b, step.a);
      else if (step && (step.at === 'start' ? edges.atStart : edges.atEnd)) stack.push(step.next);
    }
  }

  /** The state with the same steps that is kept. */
  #kept({ steps, matched }: State): State {
    const sorted = Uint16Array.from(steps).sort();
    const key = `${matched ? 'm' : '-'}${String.fromCharCode(...sorted)}`;
    let state = this.#states.get(key);
    if (!state) {
      if (this.#states.size >= MAX_STATES) this.#states = new Map();
      state = { steps, matched, next: new Map() };
      this.#states.set(key, state);
    }
    return state;
  }
}
