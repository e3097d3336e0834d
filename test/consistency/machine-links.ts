import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Link } from './link.ts';

const LOOK_MS = 25;
/** Beside the folder of the machines: for each a file with the port of its wire. */
export const LINKS = 'links';

/** A wire to each machine of this host, for as long as it is there. */
export class MachineLinks {
  readonly #machines: string;
  readonly #folder: string;
  readonly #whoCalls: (port: number, link: number) => string;
  readonly #links = new Map<string, Promise<Link>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(machines: string, whoCalls: (port: number, link: number) => string) {
    this.#machines = machines;
    this.#folder = join(machines, '..', LINKS);
    this.#whoCalls = whoCalls;
  }

  start(): void {
    mkdirSync(this.#folder, { recursive: true });
    mkdirSync(this.#machines, { recursive: true });
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The wire to the n-th machine that there is now; null: there is none. */
  async nth(n: number): Promise<Link | null> {
    const names = machinesIn(this.#machines);
    return (await this.#links.get(names[n % Math.max(1, names.length)] ?? '')) ?? null;
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    for (const link of this.#links.values()) await link.then((open) => open.close()).catch(() => undefined);
    this.#links.clear();
  }

  #look(): void {
    const names = new Set(machinesIn(this.#machines));
    for (const name of names) if (!this.#links.has(name)) this.#add(name);
    for (const [name, link] of this.#links) {
      if (names.has(name)) continue;
      this.#links.delete(name);
      link.then((gone) => gone.close()).catch(() => undefined); // what was not opened need not be closed
    }
  }

  #add(name: string): void {
    const link = this.#open(name);
    this.#links.set(name, link);
    // The next look tries it again.
    link.catch(() => this.#links.get(name) === link && this.#links.delete(name));
  }

  async #open(name: string): Promise<Link> {
    const link = await Link.to(() => this.#portOf(name), this.#whoCalls);
    const file = join(this.#folder, name);
    writeFileSync(`${file}.new`, String(link.port));
    renameSync(`${file}.new`, file);
    return link;
  }

  /** Where its sitter listens now; null: it does not. */
  #portOf(name: string): number | null {
    try {
      const { url } = JSON.parse(readFileSync(join(this.#machines, name, 'sitter.json'), 'utf8'));
      return url === '' ? null : Number(new URL(url).port);
    } catch {
      return null;
    }
  }
}

/** The names of the machines that there are now; what begins with a dot is none yet. */
export function machinesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();
}
