import type { Clock, Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import type { Notice, Notifier } from '../contracts/notifier.ts';
import { type Condition, conditionsOf, stepAlerts } from '../decide/alerts.ts';
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
/** Notices that wait for a notifier that takes none; the oldest go, the page has them all. */
const MAX_WAITING = 500;

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

/** Keeps the alerts that last, and tells notifiers of those that begin and end: together, not too often, and until they took it. */
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
    this.#posts = deps.notifiers.map((notifier) => new Post(notifier, deps.clock, deps.logger));
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
      .map(({ toldAt: _told, ...alert }) => ({
        ...alert,
        since: new Date(alert.since).toISOString(),
        resolvedAt: null,
      }));
  }

  async #pass(): Promise<number> {
    const { records, clock } = this.#deps;
    let tell: readonly AlertRecord[] = [];
    let wakeAt: number | null = null;
    await records.transact(() => {
      const now = clock.now();
      const conditions = conditionsOf({
        snapshot: this.#deps.snapshot(now),
        complaints: this.#deps.complaints(),
        versionOf: (job, version) => records.versions.get(keys.version(job, version)),
        others: this.#deps.others(),
      });
      const changes = stepAlerts(records.alerts, conditions, now);
      ({ tell, wakeAt } = changes);
      for (const alert of tell)
        if (changes.write.get(alert.key) !== null) changes.write.set(alert.key, { ...alert, toldAt: now });
      const events = [
        ...changes.raised.map((alert) => eventOf(alert, 'alert')),
        ...changes.resolved.map((alert) => eventOf(alert, 'alert-resolved')),
      ];
      const write = [...changes.write].map(([key, value]) =>
        value === null ? { delete: keys.alert(key) } : { put: keys.alert(key), value },
      );
      return write.length === 0 && events.length === 0 ? null : { write, events };
    });
    for (const post of this.#posts) post.send(tell.map(noticeOf));
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
    at: new Date(alert.resolvedAt ?? alert.since).toISOString(),
    resolved: alert.resolvedAt !== null,
  };
}

/** What is to be told by one notifier: of one story only the newest word, in the order in which the stories came up. */
class Post {
  readonly #notifier: Notifier;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Notice>();
  #timer: Timer | null = null;
  #sending = false;
  #failures = 0;
  #stopped = false;

  constructor(notifier: Notifier, clock: Clock, logger: Logger) {
    this.#notifier = notifier;
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    this.#stopped = false;
    if (this.#waiting.size > 0 && !this.#sending) void this.#go();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  send(notices: readonly Notice[]): void {
    for (const notice of notices) {
      this.#waiting.set(notice.key, notice);
      const [oldest] = this.#waiting.keys();
      if (this.#waiting.size > MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    }
    if (this.#waiting.size > 0 && this.#timer === null && !this.#sending) void this.#go();
  }

  async #go(): Promise<void> {
    const batch = [...this.#waiting.values()];
    this.#sending = true;
    try {
      await this.#notifier.notify(batch);
      for (const notice of batch) if (this.#waiting.get(notice.key) === notice) this.#waiting.delete(notice.key);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#logger.warn(
        { notifier: this.#notifier.name, reason: messageOf(error), notices: batch.length },
        'alerts could not be told; it is tried again',
      );
    } finally {
      this.#sending = false;
    }
    if (this.#stopped || this.#waiting.size === 0) return;
    const ms = this.#failures === 0 ? 0 : Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (this.#failures - 1));
    this.#timer = this.#clock.timer(ms, () => {
      this.#timer = null;
      void this.#go();
    });
  }
}
