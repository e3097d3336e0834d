import type { Enclosure, LimitEnforcer, Limits, RunIdentity } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import { CerebroError } from '../errors.ts';

/** The first listed enforcer that works on this host, or the one that the settings name. Chosen once, at start, and shown everywhere. */
export class ChosenEnforcer implements LimitEnforcer {
  readonly #candidates: readonly LimitEnforcer[];
  readonly #wanted: string;
  readonly #logger: Logger;
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

  async probe(): ReturnType<LimitEnforcer['probe']> {
    return this.#enforcer.probe();
  }

  async start(): Promise<void> {
    const named =
      this.#wanted === 'auto'
        ? this.#candidates
        : this.#candidates.filter((enforcer) => enforcer.name === this.#wanted);
    const reasons: string[] = [];
    for (const enforcer of named) {
      const answer = await enforcer.probe();
      if (answer.works) {
        await enforcer.start();
        this.#chosen = enforcer;
        this.#logger.info({ enforcer: enforcer.name, holds: enforcer.holds, reasons }, 'limits are enforced');
        return;
      }
      reasons.push(`${enforcer.name}: ${answer.sentence}`);
    }
    const loaded = this.#candidates.map((enforcer) => enforcer.name).join(', ') || 'none';
    throw new CerebroError(
      'unsupported',
      `no limit enforcer works here (wanted: ${this.#wanted}; loaded: ${loaded})${reasons.length > 0 ? `: ${reasons.join('; ')}` : ''}`,
    );
  }

  async stop(): Promise<void> {
    await this.#chosen?.stop();
    this.#chosen = null;
  }

  enclose(run: RunIdentity, limits: Limits): Promise<Enclosure> {
    return this.#enforcer.enclose(run, limits);
  }

  get #enforcer(): LimitEnforcer {
    if (!this.#chosen) throw new CerebroError('unavailable', 'the limit enforcer is not chosen yet');
    return this.#chosen;
  }
}
