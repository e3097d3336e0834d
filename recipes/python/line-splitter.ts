import { StringDecoder } from 'node:string_decoder';

/** Cuts a stream into lines. One that is longer than `maxChars` is handed on in pieces, so that nothing grows without end. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxChars: number;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(maxChars: number, onLine: (line: string) => void) {
    this.#maxChars = maxChars;
    this.#onLine = onLine;
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(this.#withoutHead(line));
    this.#rest = this.#withoutHead(this.#rest);
  }

  /** Hands on what a line has too much at its beginning; returns its last piece. */
  #withoutHead(line: string): string {
    let from = 0;
    for (; line.length - from > this.#maxChars; from += this.#maxChars)
      this.#onLine(line.slice(from, from + this.#maxChars));
    return line.slice(from);
  }

  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}
