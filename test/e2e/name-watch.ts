import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { decode, encode } from 'dns-packet';

/** An answer of the name server: asked at `sent`, heard at `heard` (monotonic ms). */
export interface Answer {
  sent: number;
  heard: number;
  addresses: string[];
}

/** One attempt to reach an address that was refused: nobody listened there between `began` and `ended`. */
interface Refusal {
  began: number;
  ended: number;
}

const PAUSE_MS = 20;
const DNS_ANSWER_MS = 2000;

/**
 * Somebody who lives by a name: asks for it all the time, and knocks all the time at every address that it was ever told.
 * What was told and what was found is kept, to be held against each other.
 */
export class NameWatch {
  readonly answers: Answer[] = [];
  readonly #name: string;
  readonly #dnsPort: number;
  readonly #port: number;
  readonly #refusals = new Map<string, Refusal[]>();
  readonly #loops: Promise<void>[] = [];
  #stopped = false;

  constructor(name: string, dnsPort: number, port: number) {
    this.#name = name;
    this.#dnsPort = dnsPort;
    this.#port = port;
  }

  start(): void {
    this.#loops.push(this.#ask());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // The loop that asks may have begun another one meanwhile.
    for (let n = 0; n < this.#loops.length; n++) await this.#loops[n];
  }

  /** The newest answer, whole. */
  get now(): string[] {
    return [...(this.answers.at(-1)?.addresses ?? [])].sort();
  }

  /** Answers without any address after the first that had one. */
  get empty(): Answer[] {
    const first = this.answers.findIndex(({ addresses }) => addresses.length > 0);
    return first < 0 ? [] : this.answers.slice(first).filter(({ addresses }) => addresses.length === 0);
  }

  /** Where somebody who remembered an answer for `ttlMs` would have found nobody, of addresses other than `but`. */
  lies(ttlMs: number, but: ReadonlySet<string>): string[] {
    const found: string[] = [];
    for (const { sent, heard, addresses } of this.answers) {
      for (const address of addresses) {
        if (but.has(address)) continue;
        const refused = this.#refusals
          .get(address)
          ?.find(({ began, ended }) => began >= heard && ended <= sent + ttlMs);
        if (refused)
          found.push(`${address} was told at ${Math.round(sent)} and refused at ${Math.round(refused.ended)} ms`);
      }
    }
    return found;
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const sent = performance.now();
      const addresses = await askFor(this.#name, this.#dnsPort);
      if (addresses !== null) {
        this.answers.push({ sent, heard: performance.now(), addresses });
        for (const address of addresses) {
          if (this.#refusals.has(address)) continue;
          this.#refusals.set(address, []);
          this.#loops.push(this.#knock(address));
        }
      }
      await pause();
    }
  }

  async #knock(address: string): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      // Only a refusal says that nobody is there; a host under load may take its time.
      if (await isRefused(address, this.#port)) this.#refusals.get(address)?.push({ began, ended: performance.now() });
      await pause();
    }
  }
}

/** The A records of a name; empty: there are none. null: no answer. */
export function askFor(name: string, port: number): Promise<string[] | null> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const done = (addresses: string[] | null): void => {
      clearTimeout(timer);
      socket.close();
      resolve(addresses);
    };
    const timer = setTimeout(() => done(null), DNS_ANSWER_MS);
    socket.once('error', () => done(null));
    socket.once('message', (message) =>
      done((decode(message).answers ?? []).flatMap((one) => (one.type === 'A' ? [one.data] : []))),
    );
    const query = encode({ type: 'query', id: Math.floor(Math.random() * 65_536), questions: [{ type: 'A', name }] });
    socket.send(query, port, '127.0.0.1', (error) => error && done(null));
  });
}

function isRefused(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
