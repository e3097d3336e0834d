import { CerebroError } from '../../errors.ts';
import { type Node, parsePattern } from './pattern-syntax.ts';

/** Says whether a line is wanted. */
export type LinePattern = (line: string) => boolean;

/** Steps of the compiled pattern; what repeats large groups hundreds of times is refused instead of being slow. */
const MAX_STEPS = 1000;
/** Groups of nothing take no steps, but time: so the parts that are built are counted too. */
const MAX_PARTS = 20_000;
/** States kept of the automaton; when there are more, it begins afresh: memory is bounded, and so is the time for a line. */
const MAX_STATES = 500;
/** So much of a line is looked at by an expression: the time for one line is bounded with it. */
const MAX_LINE = 16_384;

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
  if (!expression) return (line) => line.includes(text);
  const [, source = '', flags] = expression;
  return new Automaton(compile(parsePattern(source, flags === 'i'))).pattern();
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
  steps: readonly number[];
  matched: boolean;
  next: Map<number, State>;
}

/** The set of steps that a line has led to, one character at a time; sets that came up are kept. */
class Automaton {
  readonly #steps: readonly Step[];
  #states = new Map<string, State>();

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  pattern(): LinePattern {
    return (whole) => {
      const line = whole.slice(0, MAX_LINE);
      let state = this.#state([], { atStart: true, atEnd: line.length === 0 });
      for (let i = 0; i < line.length; i++) {
        if (state.matched) return true;
        const code = line.charCodeAt(i);
        const last = i === line.length - 1;
        // Whether the line ends here changes what follows; only the last character asks.
        const key = last ? -1 - code : code;
        let next = state.next.get(key);
        if (!next) {
          const reached: number[] = [];
          for (const at of state.steps) {
            const step = this.#steps[at];
            if (step?.kind === 'char' && step.test(code)) reached.push(step.next);
          }
          next = this.#state(reached, { atStart: false, atEnd: last });
          if (state.next.size < 256) state.next.set(key, next);
        }
        state = next;
      }
      return state.matched;
    };
  }

  /** Follows everything that takes no character. A match may begin anywhere, so the first step is always among them. */
  #state(from: readonly number[], edges: { atStart: boolean; atEnd: boolean }): State {
    const seen = new Set<number>();
    const waiting: number[] = [];
    let matched = false;
    const stack = [...from, 1];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const step = this.#steps[at];
      if (!step) continue;
      if (step.kind === 'match') matched = true;
      else if (step.kind === 'char') waiting.push(at);
      else if (step.kind === 'split') stack.push(step.b, step.a);
      else if (step.at === 'start' ? edges.atStart : edges.atEnd) stack.push(step.next);
    }
    const key = `${matched ? 'm' : ''}${waiting.sort((a, b) => a - b).join(',')}`;
    let state = this.#states.get(key);
    if (!state) {
      if (this.#states.size >= MAX_STATES) this.#states = new Map();
      state = { steps: waiting, matched, next: new Map() };
      this.#states.set(key, state);
    }
    return state;
  }
}
