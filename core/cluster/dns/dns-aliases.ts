import { Resolver } from 'node:dns/promises';
import type { Clock } from '../../contracts/clock.ts';
import { messageOf, systemCode } from '../../errors.ts';

const ANSWER_MS = 3000;

/** What a name leads to, as the world sees it; `missing`: to nothing. */
export type FoundAlias =
  | { kind: 'cname'; targets: string[]; at: number }
  | { kind: 'missing'; at: number }
  | { kind: 'unknown'; sentence: string; at: number };

/** Asks, when people want to know it, whether the CNAMEs that only they can make are there. */
export class DnsAliases {
  readonly #resolvers: readonly string[];
  readonly #clock: Clock;
  readonly #found = new Map<string, FoundAlias>();

  constructor(resolvers: readonly string[], clock: Clock) {
    this.#resolvers = resolvers;
    this.#clock = clock;
  }

  found(name: string): FoundAlias | null {
    return this.#found.get(name) ?? null;
  }

  /** Asks about these names and forgets all others. */
  async check(names: readonly string[]): Promise<void> {
    const answers = await Promise.all(names.map(async (name) => [name, await this.#ask(name)] as const));
    this.#found.clear();
    for (const [name, found] of answers) this.#found.set(name, found);
  }

  async #ask(name: string): Promise<FoundAlias> {
    const resolver = new Resolver({ timeout: ANSWER_MS, tries: 2 });
    try {
      if (this.#resolvers.length > 0) resolver.setServers(this.#resolvers);
      const targets = await resolver.resolveCname(name);
      return { kind: 'cname', targets: targets.map((target) => target.toLowerCase()), at: this.#clock.now() };
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENODATA' || code === 'ENOTFOUND') return { kind: 'missing', at: this.#clock.now() };
      return { kind: 'unknown', sentence: messageOf(error), at: this.#clock.now() };
    }
  }
}
