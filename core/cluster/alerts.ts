import type { Clock, Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import type { Notice, Notifier } from '../contracts/notifier.ts';
import type { Operation } from '../contracts/state-store.ts';
import { type AlertChanges, type Condition, conditionsOf, stepAlerts } from '../decide/alerts.ts';
import { messageOf } from '../errors.ts';
import type { AlertRecord, AlertView } from '../model/alert.ts';
import type { NewEvent } from '../model/event.ts';
import type { ClusterSnapshot, Complaint } from '../model/plan.ts';
import { type ClusterRecords, keys } from './records/cluster-records.ts';
import { PassLoop } from './work/pass-loop.ts';

/** News that come close together are looked at, and told, together. */
const GATHER_MS = 2000;
/** It is looked at this often in any case: what lasts is not always news. */
const IDLE_MS = 15_000;
const RETRY_FIRST_MS = 5000;
const RETRY_MAX_MS = 300_000;
/** Notices in one telling; the rest come in the next. */
const MAX_TOGETHER = 500;

export interface AlertDeps {
  records: ClusterRecords;
  notifiers: readonly Notifier[];
  clock: Clock;
  logger: Logger;
  snapshot(now: number): ClusterSnapshot;
  complaints(): readonly Complaint[];
  /** Conditions that other parts know of. */
  others(): readonly Condition[];
}

/**
 * Keeps the alerts that last, and tells notifiers of those that begin and end: together, not too often, and until they took it. Who is
 * still to be told stands in the records, so that whoever leads next goes on with it: each is told at least once.
 */
export class Alerts {
  readonly #deps: AlertDeps;
  readonly #posts: readonly Post[];
  readonly #loop: PassLoop;

  constructor(deps: AlertDeps) {
    this.#deps = deps;
    this.#loop = new PassLoop({
      clock: deps.clock,
      gatherMs: GATHER_MS,
      retryMs: IDLE_MS,
      pass: () => this.#pass(),
      onFailure: (error) => deps.logger.warn({ err: error }, 'alerts could not be recorded; they are looked at again'),
    });
    this.#posts = deps.notifiers.map((notifier) => new Post({ ...deps, notifier }));
  }

  start(): void {
    for (const post of this.#posts) post.start();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const post of this.#posts) post.stop();
    await this.#loop.stop();
  }

  /** Something may have changed. */
  poke(): void {
    this.#loop.poke();
  }

  /** What lasts, the newest first. */
  list(): AlertView[] {
    return [...this.#deps.records.alerts.values()]
      .filter((alert) => alert.resolvedAt === null)
      .sort((a, b) => b.since - a.since)
      .map(({ toldAt: _told, owed: _owed, over: _over, ...alert }) => ({
        ...alert,
        since: new Date(alert.since).toISOString(),
        resolvedAt: null,
      }));
  }

  async #pass(): Promise<number> {
    const { records, clock, notifiers } = this.#deps;
    let wakeAt: AlertChanges['wakeAt'] = null;
    await records.transact(() => {
      const now = clock.now();
      const conditions = conditionsOf({
        snapshot: this.#deps.snapshot(now),
        complaints: this.#deps.complaints(),
        versionOf: (job, version) => records.versions.get(keys.version(job, version)),
        others: this.#deps.others(),
      });
      const names = notifiers.map(({ name }) => name);
      const changes = stepAlerts(records.alerts, conditions, names, now);
      wakeAt = changes.wakeAt;
      const events = [
        ...changes.raised.map((alert) => eventOf(alert, 'alert')),
        ...changes.resolved.map((alert) => eventOf(alert, 'alert-resolved')),
      ];
      const write = [...changes.write].map(([key, value]) =>
        value === null ? { delete: keys.alert(key) } : { put: keys.alert(key), value },
      );
      return write.length === 0 && events.length === 0 ? null : { write, events };
    });
    for (const post of this.#posts) post.poke();
    return wakeAt === null ? IDLE_MS : Math.max(GATHER_MS, Math.min(IDLE_MS, wakeAt - clock.now()));
  }
}

function eventOf(alert: AlertRecord, kind: 'alert' | 'alert-resolved'): NewEvent {
  const { job, machine, copy } = alert;
  return {
    level: kind === 'alert' ? alert.level : 'info',
    kind,
    message: kind === 'alert' ? alert.sentence : `over: ${alert.sentence}`,
    ...(job !== undefined && { job }),
    ...(machine !== undefined && { machine }),
    ...(copy !== undefined && { copy }),
  };
}

function noticeOf(alert: AlertRecord): Notice {
  return {
    level: alert.level,
    key: alert.key,
    sentence: alert.sentence,
    at: new Date((alert.over ? alert.resolvedAt : null) ?? alert.since).toISOString(),
    resolved: alert.over,
  };
}

/** Tells one notifier what it is owed: of one story only the newest word, in the order in which the stories came up. */
class Post {
  readonly #deps: Pick<AlertDeps, 'records' | 'clock' | 'logger'> & { notifier: Notifier };
  #timer: Timer | null = null;
  #telling = false;
  #failures = 0;
  #stopped = true;

  constructor(deps: Pick<AlertDeps, 'records' | 'clock' | 'logger'> & { notifier: Notifier }) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
    this.poke();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** There may be something to tell. Where it was refused before, it waits for its time. */
  poke(): void {
    if (this.#stopped || this.#telling || this.#timer !== null || this.#owed().length === 0) return;
    this.#telling = true;
    void this.#tell().finally(() => {
      this.#telling = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#stopped) return;
    if (this.#failures === 0) {
      this.poke();
      return;
    }
    const ms = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (this.#failures - 1));
    this.#timer = this.#deps.clock.timer(ms, () => {
      this.#timer = null;
      this.poke();
    });
  }

  #owed(): AlertRecord[] {
    const { records, notifier } = this.#deps;
    return [...records.alerts.values()]
      .filter(({ owed }) => owed.includes(notifier.name))
      .sort((a, b) => a.since - b.since)
      .slice(0, MAX_TOGETHER);
  }

  async #tell(): Promise<void> {
    const { notifier, logger } = this.#deps;
    const batch = this.#owed();
    try {
      await notifier.notify(batch.map(noticeOf));
      await this.#taken(batch);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      logger.warn(
        { notifier: notifier.name, reason: messageOf(error), notices: batch.length },
        'alerts could not be told; it is tried again',
      );
    }
  }

  /** Strikes it off what it is owed, but for what there is more to say of by now. */
  async #taken(batch: readonly AlertRecord[]): Promise<void> {
    const { records, notifier } = this.#deps;
    await records.transact(() => {
      const write = batch.flatMap(({ key, toldAt }): Operation[] => {
        const now = records.alerts.get(key);
        if (now?.toldAt !== toldAt) return [];
        const owed = now.owed.filter((name) => name !== notifier.name);
        if (now.over && owed.length === 0) return [{ delete: keys.alert(key) }];
        return [{ put: keys.alert(key), value: { ...now, owed } satisfies AlertRecord }];
      });
      return write.length === 0 ? null : { write, events: [] };
    });
  }
}
