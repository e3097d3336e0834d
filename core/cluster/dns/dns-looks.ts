import { dnsPauseMs } from './dns-pause.ts';

/**
 * The basenames that are to be looked at, and who waits for that. One that cannot be read has its own time to be tried again, so that
 * it holds up neither the looks nor the changes of others.
 */
export class DnsLooks {
  readonly #wanted = new Map<string, (() => void)[]>();
  readonly #unreadable = new Map<string, { failures: number; until: number }>();

  /** Resolves when it was looked at, or could not be. */
  ask(basename: string): Promise<void> {
    this.want(basename);
    // Somebody waits: not for the end of a pause.
    const held = this.#unreadable.get(basename);
    if (held) held.until = 0;
    return new Promise((resolve) => this.#wanted.get(basename)?.push(resolve));
  }

  want(basename: string): void {
    if (!this.#wanted.has(basename)) this.#wanted.set(basename, []);
  }

  isWanted(basename: string): boolean {
    return this.#wanted.has(basename);
  }

  /** Whether it could not be read the last time. */
  hasFailed(basename: string): boolean {
    return this.#unreadable.has(basename);
  }

  /** The one to look at now. */
  next(now: number): string | undefined {
    for (const basename of this.#wanted.keys()) if (this.#until(basename) <= now) return basename;
    return undefined;
  }

  /** When there is one to look at (ms since the epoch); infinite: never. */
  wakeAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#wanted.keys()].map((basename) => this.#until(basename)));
  }

  done(basename: string): void {
    this.#unreadable.delete(basename);
    this.#tell(basename);
  }

  /** Nobody waits on; it is tried again later, after what else there is. */
  failed(basename: string, now: number): void {
    const failures = (this.#unreadable.get(basename)?.failures ?? 0) + 1;
    this.#tell(basename);
    this.want(basename);
    this.#unreadable.set(basename, { failures, until: now + dnsPauseMs(failures) });
  }

  /** No name is there any more below others than these. */
  keepOnly(basenames: ReadonlySet<string>): void {
    for (const basename of [...this.#wanted.keys()]) if (!basenames.has(basename)) this.done(basename);
  }

  #until(basename: string): number {
    return this.#unreadable.get(basename)?.until ?? 0;
  }

  #tell(basename: string): void {
    for (const resolve of this.#wanted.get(basename) ?? []) resolve();
    this.#wanted.delete(basename);
  }
}
