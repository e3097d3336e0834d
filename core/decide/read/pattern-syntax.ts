import { CerebroError } from '../../errors.ts';

/** A regular expression as a tree. Characters are UTF-16 units. */
export type Node =
  | { kind: 'char'; test: (code: number) => boolean }
  | { kind: 'edge'; at: 'start' | 'end' }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'either'; parts: Node[] }
  /** `max` null: without end. */
  | { kind: 'repeat'; part: Node; min: number; max: number | null };

const MAX_REPEATS = 1000;
const MAX_DEPTH = 100;

const CONTROL: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', 0: '\0' };
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
const isSpace = (code: number): boolean => /\s/.test(String.fromCharCode(code));
const not =
  (test: (code: number) => boolean) =>
  (code: number): boolean =>
    !test(code);
const CLASSES: Record<string, (code: number) => boolean> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
};

/** Reads an expression: characters, `.`, `[…]`, `\d \w \s`, `^ $`, groups, `|`, `* + ? {n,m}`. Throws `invalid` with the place. */
export function parsePattern(source: string, ignoreCase: boolean): Node {
  return new Parser(source, ignoreCase).parse();
}

class Parser {
  readonly #source: string;
  readonly #ignoreCase: boolean;
  #at = 0;
  #depth = 0;

  constructor(source: string, ignoreCase: boolean) {
    this.#source = source;
    this.#ignoreCase = ignoreCase;
  }

  parse(): Node {
    const node = this.#either();
    if (this.#at < this.#source.length) throw this.#wrong('there is a ")" without its "("');
    return node;
  }

  #either(): Node {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#wrong('groups are nested too deep');
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    this.#depth -= 1;
    return parts.length === 1 && parts[0] ? parts[0] : { kind: 'either', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek())
      parts.push(this.#repeated());
    return { kind: 'sequence', parts };
  }

  #repeated(): Node {
    let node = this.#atom();
    for (;;) {
      const bounds = this.#bounds();
      if (!bounds) return node;
      if (node.kind === 'edge') throw this.#wrong('there is nothing to repeat');
      // Whether it takes many or few makes no difference to whether a line matches.
      this.#take('?');
      node = { kind: 'repeat', part: node, ...bounds };
    }
  }

  #bounds(): { min: number; max: number | null } | undefined {
    if (this.#take('*')) return { min: 0, max: null };
    if (this.#take('+')) return { min: 1, max: null };
    if (this.#take('?')) return { min: 0, max: 1 };
    const counted = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.#source.slice(this.#at, this.#at + 16));
    if (!counted) return undefined;
    this.#at += counted[0].length;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] === undefined ? null : Number(counted[3]);
    if (min > MAX_REPEATS || (max ?? 0) > MAX_REPEATS) throw this.#wrong(`more than ${MAX_REPEATS} repetitions`);
    if (max !== null && max < min) throw this.#wrong('the numbers in {} are out of order');
    return { min, max };
  }

  #atom(): Node {
    const char = this.#source[this.#at++] ?? '';
    if (char === '(') return this.#group();
    if (char === '[') return { kind: 'char', test: this.#set() };
    if (char === '.') return { kind: 'char', test: () => true };
    if (char === '^') return { kind: 'edge', at: 'start' };
    if (char === '$') return { kind: 'edge', at: 'end' };
    if ('*+?'.includes(char)) throw this.#wrong(`there is nothing before "${char}" to repeat`);
    return { kind: 'char', test: char === '\\' ? this.#escape() : this.#literal(char) };
  }

  #group(): Node {
    if (this.#take('?') && !this.#take(':'))
      throw this.#wrong('groups that look around or have names are not supported; (…) and (?:…) are');
    const node = this.#either();
    if (!this.#take(')')) throw this.#wrong('a ")" is missing');
    return node;
  }

  #escape(): (code: number) => boolean {
    const char = this.#source[this.#at++];
    if (char === undefined) throw this.#wrong('it ends with "\\"');
    const known = CLASSES[char];
    if (known) return known;
    if (/[1-9]/.test(char)) throw this.#wrong('back references are not supported');
    if (/[a-zA-Z0-9]/.test(char) && CONTROL[char] === undefined) throw this.#wrong(`"\\${char}" is not supported`);
    return this.#literal(CONTROL[char] ?? char);
  }

  #set(): (code: number) => boolean {
    const inverted = this.#take('^');
    const tests: ((code: number) => boolean)[] = [];
    for (let first = true; ; first = false) {
      const char = this.#source[this.#at++];
      if (char === undefined) throw this.#wrong('a "]" is missing');
      if (char === ']' && !first) break;
      const from = char === '\\' ? this.#source[this.#at++] : char;
      if (from === undefined) throw this.#wrong('a "]" is missing');
      const known = char === '\\' ? CLASSES[from] : undefined;
      if (known) tests.push(known);
      else tests.push(this.#range(char === '\\' ? (CONTROL[from] ?? from) : from));
    }
    const any = (code: number): boolean => tests.some((test) => test(code));
    return inverted ? not(any) : any;
  }

  #range(from: string): (code: number) => boolean {
    const upTo = this.#source[this.#at + 1];
    if (this.#peek() !== '-' || upTo === undefined || upTo === ']') return this.#literal(from);
    this.#at += 1;
    const char = this.#source[this.#at++] ?? '';
    const to = char === '\\' ? (this.#source[this.#at++] ?? '') : char;
    const [low, high] = [from.charCodeAt(0), to.charCodeAt(0)];
    if (!(low <= high)) throw this.#wrong(`the range ${from}-${to} is out of order`);
    const inRange = (code: number): boolean => code >= low && code <= high;
    return this.#ignoreCase ? (code) => bothCases(code).some(inRange) : inRange;
  }

  #literal(char: string): (code: number) => boolean {
    const wanted = char.charCodeAt(0);
    return this.#ignoreCase ? (code) => bothCases(code).includes(wanted) : (code) => code === wanted;
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at += 1;
    return true;
  }

  #wrong(what: string): CerebroError {
    return new CerebroError('invalid', `grep: the expression cannot be read at character ${this.#at}: ${what}`);
  }
}

function bothCases(code: number): number[] {
  const char = String.fromCharCode(code);
  return [code, char.toLowerCase().charCodeAt(0), char.toUpperCase().charCodeAt(0)];
}
