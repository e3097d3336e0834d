import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import { type ClusterEvent, clusterEvent, type NewEvent } from '../../model/event.ts';

/** Events kept in memory and on disk; older ones are gone, and who asks for them learns that by the first number he gets. */
const KEPT = 5000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** After so many events the size of the file is looked at. */
const LOOK_EVENTS = 500;

/** A machine's events: numbered without gaps over restarts, one JSON line each in `events.ndjson`. */
export class EventLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  #events: ClusterEvent[] = [];
  #next = 1;
  /** The file ends within a line, which a crash or a full disk cut off. */
  #torn = false;
  #unwritten: ClusterEvent[] = [];

  constructor(folder: string, clock: Clock, logger: Logger) {
    this.#path = join(folder, 'events.ndjson');
    this.#clock = clock;
    this.#logger = logger;
  }

  load(): void {
    for (const line of this.#lines()) {
      const event = parse(line);
      // A line that was written again after a full disk had torn the first try is there twice.
      if (event && event.seq > (this.#events.at(-1)?.seq ?? 0)) this.#events.push(event);
    }
    this.#events = this.#events.slice(-KEPT);
    this.#next = (this.#events.at(-1)?.seq ?? 0) + 1;
  }

  /** Something that cannot be read is put aside, so that new events can be kept. */
  #lines(): string[] {
    if (!existsSync(this.#path)) return [];
    try {
      const text = readFileSync(this.#path, 'utf8');
      this.#torn = text !== '' && !text.endsWith('\n');
      return text.split('\n');
    } catch (error) {
      this.#logger.error({ file: this.#path, err: error }, 'the events so far cannot be read, and were put aside');
      renameSync(this.#path, `${this.#path}.damaged-${this.#clock.now()}`);
      return [];
    }
  }

  add(event: NewEvent): void {
    const numbered: ClusterEvent = { ...event, seq: this.#next, at: new Date(this.#clock.now()).toISOString() };
    this.#next += 1;
    this.#events.push(numbered);
    if (this.#events.length > KEPT * 2) this.#events = this.#events.slice(-KEPT);
    this.#write(numbered);
    for (const listener of this.#listeners) listener(numbered);
  }

  /** The number of the first event that is kept. */
  get oldest(): number {
    return this.#events[0]?.seq ?? this.#next;
  }

  /** The number of the last event; 0: there was none yet. */
  get newest(): number {
    return this.#next - 1;
  }

  /** The events after number `seq`, oldest first. */
  since(seq: number, limit = Number.POSITIVE_INFINITY): ClusterEvent[] {
    // Numbers have no gaps, but for lines that were damaged: so this is the first wanted one, or a little before it.
    const from = Math.max(0, seq - (this.#events.at(-1)?.seq ?? 0) + this.#events.length);
    let first = Math.min(from, this.#events.length);
    while ((this.#events[first]?.seq ?? Number.POSITIVE_INFINITY) <= seq) first += 1;
    return this.#events.slice(first, first + limit);
  }

  onEvent(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write(event: ClusterEvent): void {
    this.#unwritten.push(event);
    try {
      // What a full disk refused goes first: a number that was told must not be given again by the next daemon.
      const lines = this.#unwritten.map((one) => `${JSON.stringify(one)}\n`).join('');
      appendFileSync(this.#path, `${this.#torn ? '\n' : ''}${lines}`, { mode: 0o640 });
      this.#unwritten = [];
      this.#torn = false;
    } catch (error) {
      // A full disk may have taken the first half of the line.
      this.#torn = true;
      this.#unwritten = this.#unwritten.slice(-KEPT);
      this.#logger.error({ err: error, event }, 'an event could not be kept');
      return;
    }
    if (event.seq % LOOK_EVENTS === 0) this.#shorten();
  }

  #shorten(): void {
    const shorter = `${this.#path}.new`;
    try {
      if (statSync(this.#path).size <= MAX_FILE_BYTES) return;
      const lines = this.#events.slice(-KEPT).map((event) => `${JSON.stringify(event)}\n`);
      try {
        writeFileSync(shorter, lines.join(''), { mode: 0o640 });
        renameSync(shorter, this.#path);
      } finally {
        // Half of it would take room on a disk that has none; after the renaming nothing is there.
        rmSync(shorter, { force: true });
      }
    } catch (error) {
      const message = `the file of the events could not be shortened, and grows; it is tried again after ${LOOK_EVENTS} more`;
      this.#logger.error({ file: this.#path, err: error }, message);
    }
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
