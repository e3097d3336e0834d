import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { NewEvent } from '../../model/event.ts';

const FLUSH_MS = 500;
/** Lines of one run that go to the timeline as they come; of what follows, the last ones when the run is over. */
const LIVE_LINES = 300;
const LAST_LINES = 30;
const LINE_CHARS = 500;

export interface RecipeLogDeps {
  about: Pick<NewEvent, 'job' | 'machine' | 'copy'>;
  logger: Logger;
  clock: Clock;
  tell(events: NewEvent[]): Promise<void>;
}

/**
 * What a recipe says, on its way to the copy's timeline: a few times a second while it runs, in order. Bounded, for a recipe may say
 * anything: of very many lines the first and the last are kept, and how many were left out.
 */
export class RecipeLog {
  readonly logger: Logger;
  readonly #deps: RecipeLogDeps;
  #waiting: NewEvent[] = [];
  #last: NewEvent[] = [];
  #lines = 0;
  #timer: Timer | null = null;
  #ended = false;
  #telling: Promise<void> = Promise.resolve();

  constructor(deps: RecipeLogDeps) {
    this.#deps = deps;
    const { about, logger } = deps;
    const log: Logger = {
      debug: (fields, message) => logger.debug({ ...about, ...fields }, message),
      info: (fields, message) => {
        this.#add('info', message);
        logger.info({ ...about, ...fields }, message);
      },
      warn: (fields, message) => {
        this.#add('warn', message);
        logger.warn({ ...about, ...fields }, message);
      },
      error: (fields, message) => {
        this.#add('error', message);
        logger.error({ ...about, ...fields }, message);
      },
      child: () => log,
    };
    this.logger = log;
  }

  /** Writes down what is left, and ends. Throws what the store throws. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#telling;
    const leftOut = this.#lines - LIVE_LINES - this.#last.length;
    if (leftOut > 0) this.#waiting.push(this.#event('info', `(${leftOut} more lines are left out here)`));
    const events = [...this.#waiting, ...this.#last];
    this.#waiting = [];
    this.#last = [];
    if (events.length > 0) await this.#deps.tell(events);
  }

  #add(level: NewEvent['level'], message: string): void {
    if (this.#ended) return; // a recipe that was broken off may go on talking
    this.#lines += 1;
    const event = this.#event(level, message);
    if (this.#lines > LIVE_LINES) {
      this.#last.push(event);
      if (this.#last.length > LAST_LINES) this.#last.shift();
      return;
    }
    this.#waiting.push(event);
    this.#timer ??= this.#deps.clock.timer(FLUSH_MS, () => {
      this.#timer = null;
      this.#telling = this.#telling.then(() => this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const events = this.#waiting;
    this.#waiting = [];
    try {
      await this.#deps.tell(events);
    } catch (error) {
      // The lines are no reason to break the recipe off: they wait for the next time.
      this.#waiting = [...events, ...this.#waiting];
      this.#deps.logger.warn({ ...this.#deps.about, err: error }, 'what a recipe said could not be recorded');
    }
  }

  #event(level: NewEvent['level'], message: string): NewEvent {
    const { about } = this.#deps;
    return { level, kind: 'recipe-line', message: `${about.copy}: ${message.slice(0, LINE_CHARS)}`, ...about };
  }
}
