import { createServer, type Server, Socket } from 'node:net';
import { freePort } from '../fakes/free-port.ts';

interface Line {
  from: string;
  caller: Socket;
  /** null: not connected yet, since the link was cut when the caller came. */
  callee: Socket | null;
}

/**
 * A wire that can be cut: a port of loopback that leads to another. While it is cut nothing gets through and nobody is told, as when
 * packets are lost; what was under way arrives when it is mended, however late that is.
 */
export class Link {
  readonly port: number;
  readonly #target: number;
  readonly #whoCalls: (port: number) => string;
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  readonly #cut = new Set<string>();

  private constructor(port: number, target: number, whoCalls: (port: number) => string) {
    this.port = port;
    this.#target = target;
    this.#whoCalls = whoCalls;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (caller) => this.#accept(caller));
  }

  /** `whoCalls`: the caller's name, by the port that it calls from; a link may be cut for one caller and not for another. */
  static async to(target: number, whoCalls: (port: number, link: number) => string = () => 'somebody'): Promise<Link> {
    const port = await freePort();
    const link = new Link(port, target, (from) => whoCalls(from, port));
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(port, '127.0.0.1', resolve);
    });
    return link;
  }

  cut(from = 'somebody'): void {
    this.#cut.add(from);
    for (const line of this.#lines) {
      if (line.from !== from) continue;
      line.caller.pause();
      line.callee?.pause();
    }
  }

  mend(from = 'somebody'): void {
    this.#cut.delete(from);
    for (const line of this.#lines) {
      if (line.from !== from) continue;
      if (line.callee === null) this.#connect(line);
      else {
        line.caller.resume();
        line.callee.resume();
      }
    }
  }

  async close(): Promise<void> {
    for (const line of this.#lines) this.#end(line);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(caller: Socket): void {
    const line: Line = { from: this.#whoCalls(caller.remotePort ?? 0), caller, callee: null };
    this.#lines.add(line);
    caller.on('error', () => this.#end(line));
    caller.on('close', () => this.#end(line));
    if (!this.#cut.has(line.from)) this.#connect(line);
  }

  #connect(line: Line): void {
    const callee = new Socket({ allowHalfOpen: true });
    line.callee = callee;
    callee.on('error', () => this.#end(line));
    callee.on('close', () => this.#end(line));
    this.#carry(line, line.caller, callee);
    this.#carry(line, callee, line.caller);
    callee.connect(this.#target, '127.0.0.1');
    line.caller.resume();
  }

  #carry(line: Line, source: Socket, sink: Socket): void {
    source.on('data', (chunk) => {
      if (sink.write(chunk)) return;
      source.pause();
      sink.once('drain', () => {
        if (!this.#cut.has(line.from)) source.resume();
      });
    });
    source.on('end', () => sink.end());
  }

  #end(line: Line): void {
    this.#lines.delete(line);
    line.caller.destroy();
    line.callee?.destroy();
  }
}
