import type { Enclosure, LimitEnforcer, Limits, RunIdentity } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import { didYouMean } from '../decide/words/nearest-names.ts';
import { CerebroError, messageOf } from '../errors.ts';

/**
 * The first listed enforcer that works on this host, or the one that the settings name. Chosen once, at start, and shown
 * everywhere. Runs that another one began before a restart go on with that one, as long as it works.
 */
export class ChosenEnforcer implements LimitEnforcer {
  readonly #candidates: readonly LimitEnforcer[];
  readonly #wanted: string;
  readonly #logger: Logger;
  /** Those that were started, and why others could not be. */
  readonly #running = new Map<string, LimitEnforcer>();
  /** Starts that are under way: many tasks may ask for one at the same moment. */
  readonly #starts = new Map<string, Promise<LimitEnforcer | undefined>>();
  readonly #reasons = new Map<string, string>();
  #chosen: LimitEnforcer | null = null;

  constructor(candidates: readonly LimitEnforcer[], wanted: string, logger: Logger) {
    this.#candidates = candidates;
    this.#wanted = wanted;
    this.#logger = logger;
  }

  get name(): string {
    return this.#enforcer.name;
  }

  get holds(): LimitEnforcer['holds'] {
    return this.#enforcer.holds;
  }

  get adoptsAny(): boolean {
    return this.#enforcer.adoptsAny;
  }

  /** Why better enforcers were passed over, one sentence each. */
  get passedOver(): string[] {
    return [...this.#reasons].map(([name, reason]) => `${name}: ${reason}`);
  }

  async probe(): ReturnType<LimitEnforcer['probe']> {
    return this.#enforcer.probe();
  }

  async start(): Promise<void> {
    const names = this.#candidates.map((enforcer) => enforcer.name);
    if (this.#wanted !== 'auto' && !names.includes(this.#wanted))
      throw new CerebroError(
        'invalid',
        `enforcer: there is no limit enforcer "${this.#wanted}"${didYouMean(this.#wanted, names)}; plugins.json lists ${names.join(', ') || 'none'}`,
      );
    for (const name of this.#wanted === 'auto' ? names : [this.#wanted]) {
      const enforcer = await this.#startNamed(name);
      if (!enforcer) continue;
      this.#chosen = enforcer;
      this.#logger.info({ enforcer: name, holds: enforcer.holds, passedOver: this.passedOver }, 'limits are enforced');
      return;
    }
    throw new CerebroError(
      'unsupported',
      `no limit enforcer works here${this.#reasons.size > 0 ? `: ${this.passedOver.join('; ')}` : ': plugins.json lists none'}`,
    );
  }

  async stop(): Promise<void> {
    for (const enforcer of this.#running.values()) await enforcer.stop();
    this.#running.clear();
    this.#reasons.clear();
    this.#chosen = null;
  }

  async enclose(run: RunIdentity, limits: Limits): Promise<Enclosure> {
    const began = run.adopted?.enforcer;
    if (began === undefined || began === this.#enforcer.name) return this.#enforcer.enclose(run, limits);
    const same = await this.#startNamed(began);
    return (same ?? (await this.#anyAdopter())).enclose(run, limits);
  }

  async #anyAdopter(): Promise<LimitEnforcer> {
    for (const { name, adoptsAny } of this.#candidates) {
      const enforcer = adoptsAny ? await this.#startNamed(name) : undefined;
      if (enforcer) return enforcer;
    }
    return this.#enforcer;
  }

  /** Started now, or before; undefined where it cannot work, and `passedOver` says why. */
  async #startNamed(name: string): Promise<LimitEnforcer | undefined> {
    const running = this.#running.get(name);
    if (running || this.#reasons.has(name)) return running;
    const enforcer = this.#candidates.find((candidate) => candidate.name === name);
    if (!enforcer) return undefined;
    const start = this.#starts.get(name) ?? this.#start(enforcer).finally(() => this.#starts.delete(name));
    this.#starts.set(name, start);
    return start;
  }

  async #start(enforcer: LimitEnforcer): Promise<LimitEnforcer | undefined> {
    try {
      const answer = await enforcer.probe();
      if (!answer.works) throw new CerebroError('unsupported', answer.sentence);
      await enforcer.start();
    } catch (error) {
      await enforcer.stop();
      this.#reasons.set(enforcer.name, messageOf(error));
      return undefined;
    }
    this.#running.set(enforcer.name, enforcer);
    return enforcer;
  }

  get #enforcer(): LimitEnforcer {
    if (!this.#chosen) throw new CerebroError('unavailable', 'the limit enforcer is not chosen yet');
    return this.#chosen;
  }
}
