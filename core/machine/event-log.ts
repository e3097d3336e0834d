import { appendFileSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import { type ClusterEvent, clusterEvent, type NewEvent } from '../model/event.ts';

/** Events kept in memory and on disk; older ones are gone, and who asks for them learns that by the first number he gets. */
const KEPT = 5000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** A machine's events: numbered without gaps over restarts, one JSON line each in `events.ndjson`. */
export class EventLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  #events: ClusterEvent[] = [];
  #next = 1;
  #torn = false;

  constructor(folder: string, clock: Clock, logger: Logger) {
    this.#path = join(folder, 'events.ndjson');
    this.#clock = clock;
    this.#logger = logger;
  }

  load(): void {
    if (!existsSync(this.#path)) return;
    for (const line of readFileSync(this.#path, 'utf8').split('\n')) {
      const event = parse(line);
      if (event) this.#events.push(event);
    }
    this.#events = this.#events.slice(-KEPT);
    this.#next = (this.#events.at(-1)?.seq ?? 0) + 1;
  }

  add(event: NewEvent): void {
    const numbered: ClusterEvent = { ...event, seq: this.#next, at: new Date(this.#clock.now()).toISOString() };
    this.#next += 1;
    this.#events.push(numbered);
    if (this.#events.length > KEPT * 2) this.#events = this.#events.slice(-KEPT);
    this.#write(numbered);
    for (const listener of this.#listeners) listener(numbered);
  }

  /** The events after number `seq`, oldest first. */
  since(seq: number): ClusterEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  onEvent(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write(event: ClusterEvent): void {
    try {
      appendFileSync(this.#path, `${this.#torn ? '\n' : ''}${JSON.stringify(event)}\n`, { mode: 0o640 });
      this.#torn = false;
      if (event.seq % 500 === 0 && statSync(this.#path).size > MAX_FILE_BYTES) this.#shorten();
    } catch (error) {
      // A full disk may have taken the first half of the line.
      this.#torn = true;
      this.#logger.error({ err: error, event }, 'an event could not be kept');
    }
  }

  #shorten(): void {
    const lines = this.#events.slice(-KEPT).map((event) => `${JSON.stringify(event)}\n`);
    writeFileSync(`${this.#path}.new`, lines.join(''), { mode: 0o640 });
    renameSync(`${this.#path}.new`, this.#path);
  }
}

/** A line that a crash tore, or that was damaged, is no event. */
function parse(line: string): ClusterEvent | undefined {
  if (line === '') return undefined;
  try {
    return clusterEvent.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
