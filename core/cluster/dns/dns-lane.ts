import type { Clock } from '../../contracts/clock.ts';
import type { DnsProvider } from '../../contracts/dns-provider.ts';
import type { Logger } from '../../contracts/logger.ts';
import { changesFor, findings, foldFound, foldSent, inSendingOrder, isDue } from '../../decide/dns/dns-fold.ts';
import { markerText } from '../../decide/dns/dns-names.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { DnsPlace, DnsRecord } from '../../model/dns.ts';
import type { NewEvent } from '../../model/event.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import { withDeadline } from '../work/with-deadline.ts';
import { changedEvent, foundEvent, troubleEvent } from './dns-events.ts';
import { DnsLooks } from './dns-looks.ts';
import { dnsPauseMs } from './dns-pause.ts';

/** Names that go out together. */
const BATCH = 100;
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
  readonly #looks = new DnsLooks();
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
    this.#looks.keepOnly(new Set());
    return true;
  }

  /** Has everything at and below a basename looked at; resolves when it was, or could not be. */
  lookAt(basename: string): Promise<void> {
    return this.#looks.ask(basename);
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
      .filter((record) => isDue({ ...record, nextAttemptAt: 0 }, 0) && !this.#looks.isWanted(record.basename))
      .map((record) => record.nextAttemptAt);
    return Math.max(this.#nextAt, Math.min(this.#looks.wakeAt(), ...due));
  }

  #records(): DnsRecord[] {
    const { records, place } = this.#deps;
    return [...records.dns.values()].filter(
      ({ place: at }) => at.provider === place.provider && at.zone === place.zone,
    );
  }

  #nextStep(): (() => Promise<void>) | null {
    const now = this.#deps.clock.now();
    const records = this.#records();
    this.#looks.keepOnly(new Set(records.map((record) => record.basename)));
    const all = inSendingOrder(records.filter((record) => isDue(record, now)));
    for (const { attempted, basename } of all) if (attempted !== null) this.#looks.want(basename);
    // What is to be looked at, and could not be, waits for that; others do not wait with it, and come first.
    const due = all.filter((record) => !this.#looks.isWanted(record.basename));
    const basename = this.#looks.next(now);
    if (basename !== undefined && (due.length === 0 || !this.#looks.hasFailed(basename)))
      return () => this.#look(basename);
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
      this.#looks.done(basename);
      this.#succeeded('look');
    } catch (error) {
      this.#looks.failed(basename, clock.now());
      // Nothing at all is asked for a while; then others first.
      if (isAway(error)) this.#pause();
      await this.#failed('look', error, (record) => record.basename === basename);
    }
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
    this.#nextAt = this.#deps.clock.now() + dnsPauseMs(this.#failures);
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
          nextAttemptAt: conflict && record.attempts === 0 ? now : now + dnsPauseMs(record.attempts),
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
