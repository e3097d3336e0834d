import type { Clock } from '../../contracts/clock.ts';
import type { DnsProvider } from '../../contracts/dns-provider.ts';
import type { DnsHome } from '../../decide/dns/dns-forecast.ts';
import { messageOf } from '../../errors.ts';
import { withDeadline } from '../work/with-deadline.ts';

/** An answer about a basename is good for so long; one that could not be had is asked for again sooner. */
const GOOD_MS = 300_000;
const AGAIN_MS = 5000;
const ANSWER_MS = 15_000;

interface Asked {
  home: DnsHome;
  until: number;
}

/**
 * Which provider keeps the names under a basename: of all that say they hold it, the one with the longest zone. While one does
 * not answer, nothing new is decided: another must not get names that are its own.
 */
export class DnsHomes {
  readonly #providers: readonly DnsProvider[];
  readonly #clock: Clock;
  readonly #asked = new Map<string, Asked>();
  readonly #asking = new Map<string, Promise<DnsHome>>();

  constructor(providers: readonly DnsProvider[], clock: Clock) {
    this.#providers = providers;
    this.#clock = clock;
  }

  /** What is known now; null: it was not asked yet. */
  known(basename: string): DnsHome | null {
    return this.#asked.get(basename)?.home ?? null;
  }

  /** When it is to be asked for again (ms since the epoch). */
  dueAt(basename: string): number {
    if (this.#asking.has(basename)) return Number.POSITIVE_INFINITY;
    return this.#asked.get(basename)?.until ?? 0;
  }

  /** Asks every provider, once for all who want to know at the same time. */
  ask(basename: string): Promise<DnsHome> {
    const running = this.#asking.get(basename);
    if (running) return running;
    const asking = this.#find(basename).finally(() => this.#asking.delete(basename));
    this.#asking.set(basename, asking);
    return asking;
  }

  /** As `ask`, but no longer than `ms`: then it is unclear. */
  async within(basename: string, ms: number): Promise<DnsHome> {
    const known = this.known(basename);
    if (known?.kind === 'at') return known;
    try {
      return await withDeadline(this.#clock, ms, 'the DNS providers did not answer', () => this.ask(basename));
    } catch (error) {
      return { kind: 'unclear', sentence: messageOf(error) };
    }
  }

  /** Forgets what was asked about other basenames than these. */
  keep(basenames: ReadonlySet<string>): void {
    for (const basename of this.#asked.keys()) if (!basenames.has(basename)) this.#asked.delete(basename);
  }

  async #find(basename: string): Promise<DnsHome> {
    const answers = await Promise.all(this.#providers.map((provider) => this.#answer(provider, basename)));
    const unclear = answers.flatMap((answer) => ('sentence' in answer ? [answer.sentence] : []));
    const best = answers
      .flatMap((answer) => ('zone' in answer && answer.zone !== null ? [{ ...answer, zone: answer.zone }] : []))
      .sort((a, b) => labels(b.zone) - labels(a.zone))[0];
    const before = this.known(basename);
    let home: DnsHome = { kind: 'nobody' };
    if (unclear.length > 0) home = before?.kind === 'at' ? before : { kind: 'unclear', sentence: unclear.join('; ') };
    else if (best) {
      const { provider, zone } = best;
      home = { kind: 'at', provider: provider.name, zone, maxValues: provider.maxValues };
    }
    const good = unclear.length === 0 && home.kind === 'at';
    this.#asked.set(basename, { home, until: this.#clock.now() + (good ? GOOD_MS : AGAIN_MS) });
    return home;
  }

  async #answer(
    provider: DnsProvider,
    basename: string,
  ): Promise<{ provider: DnsProvider; zone: string | null } | { sentence: string }> {
    try {
      const zone = await withDeadline(this.#clock, ANSWER_MS, `${provider.name} did not answer`, () =>
        provider.zoneOf(basename),
      );
      return { provider, zone };
    } catch (error) {
      return { sentence: `whether ${provider.name} holds ${basename} is not known: ${messageOf(error)}` };
    }
  }
}

function labels(zone: string): number {
  return zone.split('.').filter((label) => label !== '').length;
}
