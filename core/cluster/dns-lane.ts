import type { Clock } from '../contracts/clock.ts';
import type { DnsProvider } from '../contracts/dns-provider.ts';
import type { Logger } from '../contracts/logger.ts';
import { changesFor, findings, foldFound, foldSent, inSendingOrder, isDue } from '../decide/dns-fold.ts';
import { markerText } from '../decide/dns-names.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { DnsPlace, DnsRecord } from '../model/dns.ts';
import type { NewEvent } from '../model/event.ts';
import { type ClusterRecords, keys } from './cluster-records.ts';
import { changedEvent, foundEvent, troubleEvent } from './dns-events.ts';
import { withDeadline } from './with-deadline.ts';

/** Names that go out together. */
const BATCH = 100;
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** A provider's own deadlines are shorter; this one is for a call that never comes back. */
const CALL_MS = 180_000;

export interface DnsLaneDeps {
  records: ClusterRecords;
  /** undefined: the plugin that kept these names is not loaded any more. */
  provider: DnsProvider | undefined;
  place: DnsPlace;
  clock: Clock;
  logger: Logger;
  /** Whether a TXT record says whose a name is. */
  ownerTxt: boolean;
}

/**
 * One zone of one provider: looks at it and changes it, one call at a time. What it is about to send is in the store before, so
 * after a crash, or an answer that was lost, it looks first at what is there.
 */
export class DnsLane {
  readonly #deps: DnsLaneDeps;
  /** Basenames that are to be looked at, and who waits for that. */
  readonly #toLookAt = new Map<string, (() => void)[]>();
  /** Names whose batch was refused as a whole: each is sent alone, so that the wrong one keeps nobody else out. */
  readonly #suspects = new Set<string>();
  #running: Promise<void> | null = null;
  #failures = 0;
  #nextAt = 0;
  /** What was told to go wrong, by what was being done. */
  readonly #told = { look: '', send: '' };

  constructor(deps: DnsLaneDeps) {
    this.#deps = deps;
  }

  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** For when no name is left here: nobody waits any longer. false: a step is under way, and it is asked again after it. */
  close(): boolean {
    if (this.#running) return false;
    for (const basename of [...this.#toLookAt.keys()]) this.#looked(basename);
    return true;
  }

  /** Has everything at and below a basename looked at; resolves when it was, or could not be. */
  lookAt(basename: string): Promise<void> {
    const waiting = this.#toLookAt.get(basename) ?? [];
    this.#toLookAt.set(basename, waiting);
    return new Promise((resolve) => waiting.push(resolve));
  }

  /** Does one step, if there is one and none is under way; `onDone` is called after it. */
  run(onDone: () => void): void {
    const { clock, logger, place } = this.#deps;
    if (this.#running || clock.now() < this.#nextAt) return;
    const step = this.#nextStep();
    if (step === null) return;
    this.#running = step()
      .catch((error: unknown) => logger.error({ place, err: error }, 'a step of DNS could not be recorded'))
      .finally(() => {
        this.#running = null;
        onDone();
      });
  }

  /** When there is something to do without any news (ms since the epoch). */
  wakeAt(): number {
    if (this.#running) return Number.POSITIVE_INFINITY;
    const due = this.#records()
      .filter((record) => isDue({ ...record, nextAttemptAt: 0 }, 0))
      .map((record) => record.nextAttemptAt);
    if (this.#toLookAt.size > 0) due.push(0);
    return Math.max(this.#nextAt, Math.min(...due));
  }

  #records(): DnsRecord[] {
    const { records, place } = this.#deps;
    return [...records.dns.values()].filter(
      ({ place: at }) => at.provider === place.provider && at.zone === place.zone,
    );
  }

  #nextStep(): (() => Promise<void>) | null {
    const now = this.#deps.clock.now();
    const due = inSendingOrder(this.#records().filter((record) => isDue(record, now)));
    for (const { attempted, basename } of due)
      if (attempted !== null && !this.#toLookAt.has(basename)) this.#toLookAt.set(basename, []);
    const [basename] = this.#toLookAt.keys();
    if (basename !== undefined) return () => this.#look(basename);
    if (due.length === 0) return null;
    const together = due.filter((record) => !this.#suspects.has(record.name)).slice(0, BATCH);
    const batch = together.length > 0 ? together : due.slice(0, 1);
    return () => this.#send(batch.map((record) => record.name));
  }

  #provider(): DnsProvider {
    const { provider, place } = this.#deps;
    if (provider) return provider;
    throw new CerebroError(
      'unavailable',
      `the DNS provider "${place.provider}" is not loaded; list it in plugins.json, or remove its names by hand`,
    );
  }

  /** Takes up what stands at and below a basename. */
  async #look(basename: string): Promise<void> {
    const { records, clock } = this.#deps;
    try {
      const sets = await this.#call('list', () => this.#provider().list(basename));
      const find = findings(sets, records.clusterId);
      await records.transact(() => {
        const write: { put: string; value: unknown }[] = [];
        const events: NewEvent[] = [];
        for (const record of this.#records()) {
          if (record.basename !== basename) continue;
          const folded = foldFound(record, find(record.name), clock.now());
          if (JSON.stringify(folded.record) === JSON.stringify(record)) continue;
          if (folded.news !== null) events.push(foundEvent(folded.record, folded.news, find(record.name)));
          write.push({ put: keys.dns(record.name), value: folded.record });
        }
        return { write, events };
      });
      this.#looked(basename);
      this.#succeeded('look');
    } catch (error) {
      // Others first, the next time; and nothing at all is asked for a while.
      this.#looked(basename);
      this.#toLookAt.set(basename, []);
      this.#pause();
      await this.#failed('look', error, (record) => record.basename === basename);
    }
  }

  #looked(basename: string): void {
    for (const resolve of this.#toLookAt.get(basename) ?? []) resolve();
    this.#toLookAt.delete(basename);
  }

  async #send(names: readonly string[]): Promise<void> {
    const { records, clock, place, ownerTxt } = this.#deps;
    const marker = ownerTxt ? markerText(records.clusterId) : null;
    let batch: DnsRecord[] = [];
    await records.transact(() => {
      // Read again: while it waited for its turn, something else may have come to be wanted.
      batch = inSendingOrder(
        names.flatMap((name) => records.dns.get(`${name}/A`) ?? []).filter((record) => isDue(record, clock.now())),
      );
      const write = batch.map((record) => ({
        put: keys.dns(record.name),
        value: { ...record, attempted: record.values } satisfies DnsRecord,
      }));
      return { write, events: [] };
    });
    if (batch.length === 0) return;
    try {
      const changes = batch.flatMap((record) => changesFor(record, marker));
      await this.#call('change', () => this.#provider().apply(place.zone, changes));
    } catch (error) {
      const sent = new Set(batch.map((record) => record.name));
      if (batch.length > 1 && !isAway(error)) for (const name of sent) this.#suspects.add(name);
      if (isAway(error)) this.#pause();
      await this.#failed('send', error, (record) => sent.has(record.name));
      return;
    }
    for (const record of batch) this.#suspects.delete(record.name);
    this.#succeeded('send');
    await records.transact(() => {
      const now = clock.now();
      const write: { put: string; value: unknown }[] = [];
      const events: NewEvent[] = [];
      for (const sent of batch) {
        const before = records.dns.get(`${sent.name}/A`);
        if (!before) continue;
        write.push({ put: keys.dns(sent.name), value: foldSent(before, sent, marker !== null, now) });
        events.push(changedEvent(sent));
      }
      return { write, events };
    });
  }

  async #call<T>(what: string, call: () => Promise<T>): Promise<T> {
    const { clock, place } = this.#deps;
    return withDeadline(clock, CALL_MS, `${place.provider} did not answer a ${what} of ${place.zone}`, call);
  }

  #succeeded(step: 'look' | 'send'): void {
    this.#failures = 0;
    this.#nextAt = 0;
    this.#told[step] = '';
  }

  #pause(): void {
    this.#nextAt = this.#deps.clock.now() + pauseMs(this.#failures);
    this.#failures += 1;
  }

  /** Notes a failure on the records that it held up; a conflict is looked into at once, everything else waits longer and longer. */
  async #failed(step: 'look' | 'send', error: unknown, concerns: (record: DnsRecord) => boolean): Promise<void> {
    const { records, logger, place, clock } = this.#deps;
    const now = clock.now();
    const sentence = messageOf(error);
    const conflict = error instanceof CerebroError && error.code === 'conflict';
    logger.warn({ place, err: error }, step === 'look' ? 'a zone cannot be read' : 'a zone cannot be changed');
    const isNew = this.#told[step] !== sentence;
    this.#told[step] = sentence;
    await records.transact(() => {
      const held = this.#records().filter((record) => concerns(record) && isDue(record, now));
      const write = held.map((record) => ({
        put: keys.dns(record.name),
        value: {
          ...record,
          attempts: record.attempts + 1,
          nextAttemptAt: conflict && record.attempts === 0 ? now : now + pauseMs(record.attempts),
          lastError: sentence,
        } satisfies DnsRecord,
      }));
      const events = isNew && !conflict && held[0] ? [troubleEvent(held, place, sentence)] : [];
      return { write, events };
    });
  }
}

/** Nobody answers, or it cannot be told what became of it: the others of the batch would fare no better. */
function isAway(error: unknown): boolean {
  return !(error instanceof CerebroError) || ['unavailable', 'timeout', 'internal'].includes(error.code);
}

function pauseMs(failures: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 10));
}
