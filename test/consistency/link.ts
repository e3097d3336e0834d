import { createServer, type Server, Socket } from 'node:net';
import { freePort } from '../fakes/free-port.ts';
import { Direction } from './direction.ts';

/** A connection over a link, by its caller's name. */
interface Line {
  from: string;
  there: Direction;
  back: Direction;
}

/** Where a link leads to: a port of loopback; null: to nobody just now, and who calls is hung up on. */
type Target = () => number | null;

const SOMEBODY = 'somebody';

/**
 * A wire that can be cut, or be slow: a port of loopback that leads to another. While it is cut nothing gets through and nobody is
 * told, as when packets are lost; what was under way arrives when it is mended, however late that is.
 */
export class Link {
  readonly port: number;
  readonly #target: Target;
  readonly #whoCalls: (port: number) => string;
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  /** By how many it is cut for whom: of two cuts at a time, the first that is mended does not mend the other. */
  readonly #cut = new Map<string, number>();
  readonly #delays = new Map<string, number>();

  private constructor(port: number, target: Target, whoCalls: (port: number) => string) {
    this.port = port;
    this.#target = target;
    this.#whoCalls = whoCalls;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (caller) => this.#accept(caller));
  }

  /** `whoCalls`: the caller's name, by the port that it calls from; a link may be cut for one caller and not for another. */
  static async to(
    target: number | Target,
    whoCalls: (port: number, link: number) => string = () => SOMEBODY,
  ): Promise<Link> {
    const port = await freePort();
    const link = new Link(port, typeof target === 'number' ? () => target : target, (from) => whoCalls(from, port));
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(port, '127.0.0.1', resolve);
    });
    return link;
  }

  cut(from = SOMEBODY): void {
    this.#cut.set(from, (this.#cut.get(from) ?? 0) + 1);
    for (const direction of this.#of(from)) direction.hold();
  }

  mend(from = SOMEBODY): void {
    const left = (this.#cut.get(from) ?? 0) - 1;
    if (left > 0) {
      this.#cut.set(from, left);
      return;
    }
    this.#cut.delete(from);
    for (const direction of this.#of(from)) direction.letGo();
  }

  /** Whatever goes over it takes so much longer from here on; 0: no longer. */
  slow(delayMs: number, from = SOMEBODY): void {
    this.#delays.set(from, delayMs);
    for (const direction of this.#of(from)) direction.delayMs = delayMs;
  }

  /** Hangs up on all who are connected now; what was under way is lost. */
  hangUp(from = SOMEBODY): void {
    for (const line of this.#lines) if (line.from === from) this.#end(line);
  }

  async close(): Promise<void> {
    for (const line of this.#lines) this.#end(line);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #of(from: string): Direction[] {
    return [...this.#lines].flatMap((line) => (line.from === from ? [line.there, line.back] : []));
  }

  #accept(caller: Socket): void {
    const from = this.#whoCalls(caller.remotePort ?? 0);
    const callee = new Socket({ allowHalfOpen: true });
    const end = (): void => this.#end(line);
    const line: Line = { from, there: new Direction(caller, callee), back: new Direction(callee, caller) };
    this.#lines.add(line);
    for (const socket of [caller, callee]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    for (const direction of [line.there, line.back]) {
      direction.delayMs = this.#delays.get(from) ?? 0;
      if (this.#cut.has(from)) direction.hold();
    }
    // The call itself comes through as late as anything else.
    line.there.first(() => {
      const port = this.#target();
      if (port === null) this.#end(line);
      else callee.connect(port, '127.0.0.1');
    });
    caller.resume();
  }

  #end(line: Line): void {
    this.#lines.delete(line);
    line.there.end();
    line.back.end();
  }
}
