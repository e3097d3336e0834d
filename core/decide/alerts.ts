import type { AlertRecord } from '../model/alert.ts';
import type { JobVersion } from '../model/job.ts';
import type { ClusterSnapshot, Complaint } from '../model/plan.ts';
import { healthOf } from './plan/judge-machines.ts';

/** What an alert is about; `AlertRecord` without its times. */
export type Condition = Pick<AlertRecord, 'key' | 'level' | 'sentence' | 'job' | 'machine' | 'copy'>;

export interface AlertInput {
  snapshot: ClusterSnapshot;
  complaints: readonly Complaint[];
  versionOf(job: string, version: number): JobVersion | undefined;
  /** What other parts know: a certificate that ends soon. */
  others: readonly Condition[];
}

/** A task that was ended for its memory is told of for this long, that nobody has to be quick to see it. */
const OOM_SHOWN_MS = 600_000;
/** What comes and goes within this time is one story, not two. */
const CALM_MS = 15_000;
/** A task that crashes once a minute looks well in between. */
const COPY_CALM_MS = 90_000;
/** People are told of the same story at most this often, unless it ends or grows worse. */
const REPEAT_MS = 3_600_000;
/** Stories that are over and wait for a notifier that takes nothing; the oldest go, the timeline has them all. */
const MAX_OVER = 500;

/** Everything that a person should know of now, by key. */
export function conditionsOf(input: AlertInput): Map<string, Condition> {
  const found = new Map<string, Condition>();
  const add = (condition: Condition): void => {
    if (!found.has(condition.key)) found.set(condition.key, condition);
  };
  for (const condition of input.others) add(condition);
  machineConditions(input.snapshot, add);
  jobConditions(input, add);
  copyConditions(input.snapshot, add);
  for (const { alert, about, sentence } of input.complaints) {
    if (alert === undefined) continue;
    const { job, machine } = about;
    add({ key: alert, level: 'error', sentence, ...(job && { job }), ...(machine && { machine }) });
  }
  return found;
}

function machineConditions(snapshot: ClusterSnapshot, add: (condition: Condition) => void): void {
  for (const machine of snapshot.machines.values()) {
    const { id, state } = machine;
    const key = `machine/${id}`;
    const trouble = snapshot.contacts.get(id)?.trouble?.sentence ?? null;
    if (state === 'lost') add({ key, level: 'error', sentence: `${id} is lost: ${machine.reason}`, machine: id });
    else if (trouble !== null) add({ key, level: 'warn', sentence: `${id}: ${trouble}`, machine: id });
    else if ((state === 'ready' || state === 'draining') && healthOf(machine, snapshot) === 'unreachable')
      add({ key, level: 'warn', sentence: `${id} is not heard any more`, machine: id });
    else if (machine.lastError !== null && machine.attempts >= 3)
      add({
        key,
        level: 'warn',
        sentence: `${id}: ${machine.lastError} (tried ${machine.attempts} times)`,
        machine: id,
      });
  }
}

function jobConditions(input: AlertInput, add: (condition: Condition) => void): void {
  for (const job of input.snapshot.jobs.values()) {
    const { name } = job;
    const failed = input.versionOf(name, job.lastVersion);
    if (job.rollout?.failed) {
      const sentence = `version ${job.rollout.to} of "${name}" has failed: ${job.rollout.failed}`;
      add({ key: `rollout/${name}`, level: 'error', sentence, job: name });
    } else if (failed?.outcome === 'failed' && failed.version !== job.version) {
      // It stays until something newer is applied: that the cluster went back by itself must not pass unseen.
      const sentence = `version ${failed.version} of "${name}" has failed: ${failed.sentence}; version ${job.version} is in force`;
      add({ key: `rollout/${name}`, level: 'error', sentence, job: name });
    }
    const ended = job.runs.findLast((run) => run.state === 'completed' || run.state === 'failed');
    if (ended?.state === 'failed') {
      const sentence = `run ${ended.id} of "${name}" has failed: ${ended.sentence}`;
      add({ key: `run/${name}`, level: 'error', sentence, job: name });
    }
  }
}

function copyConditions(snapshot: ClusterSnapshot, add: (condition: Condition) => void): void {
  for (const copy of snapshot.copies.values()) {
    if (copy.wanted === 'stop') continue;
    const about = { job: copy.job, machine: copy.machine, copy: copy.id };
    const task = snapshot.contacts.get(copy.machine)?.tasks?.get(copy.id);
    const end = task?.lastEnd;
    // How a run ended is the run's story.
    const failed = task?.phase === 'failed' && copy.run === null;
    if (task && (task.flapping || failed)) {
      const what = task.flapping ? 'ends again and again' : 'has failed, and is not started any more';
      const sentence = `${copy.id} ${what}: ${end?.sentence ?? task.reason}`;
      add({ key: `copy/${copy.id}`, level: 'error', sentence, ...about });
    } else if (end?.reason === 'mem' && snapshot.now - Date.parse(end.endedAt) < OOM_SHOWN_MS) {
      add({
        key: `copy/${copy.id}`,
        level: 'warn',
        sentence: `${copy.id} was ended for its memory: ${end.sentence}`,
        ...about,
      });
    } else if (copy.lastError !== null && copy.attempts >= 3) {
      const sentence = `${copy.id}: ${copy.lastError} (tried ${copy.attempts} times)`;
      add({ key: `copy/${copy.id}`, level: 'warn', sentence, ...about });
    }
  }
}

/** What becomes of the alerts that are kept, given what is the case now. `write` holds what changes: null deletes. */
export interface AlertChanges {
  write: Map<string, AlertRecord | null>;
  raised: AlertRecord[];
  resolved: AlertRecord[];
  wakeAt: number | null;
}

/** `notifiers`: the names of those that are there to be told. Whom an alert is `owed` to stands in its record until they took it. */
export function stepAlerts(
  kept: ReadonlyMap<string, AlertRecord>,
  conditions: ReadonlyMap<string, Condition>,
  notifiers: readonly string[],
  now: number,
): AlertChanges {
  const changes: AlertChanges = { write: new Map(), raised: [], resolved: [], wakeAt: null };
  const told = { toldAt: now, owed: [...notifiers] };
  const wake = (time: number): void => {
    changes.wakeAt = Math.min(changes.wakeAt ?? time, time);
  };
  for (const condition of conditions.values()) {
    const before = kept.get(condition.key);
    if (!before || before.over) {
      const fresh: AlertRecord = { ...condition, since: now, resolvedAt: null, over: false, ...told };
      changes.write.set(fresh.key, fresh);
      changes.raised.push(fresh);
      continue;
    }
    const worse = before.level === 'warn' && condition.level === 'error';
    const tell = worse || before.toldAt === null || now - before.toldAt >= REPEAT_MS;
    const after: AlertRecord = { ...before, ...condition, resolvedAt: null, ...(tell && told) };
    if (tell || before.sentence !== after.sentence || before.resolvedAt !== null) changes.write.set(after.key, after);
    if (worse) changes.raised.push(after);
    if (!tell && before.toldAt !== null) wake(before.toldAt + REPEAT_MS);
  }
  for (const before of kept.values()) {
    if (conditions.has(before.key)) continue;
    if (!before.over) resolve(before, told, changes, wake);
    else if (!before.owed.some((name) => notifiers.includes(name))) changes.write.set(before.key, null);
  }
  const over = [...kept.values()]
    .filter(({ key, over }) => over && !changes.write.has(key))
    .sort((a, b) => (a.toldAt ?? 0) - (b.toldAt ?? 0));
  for (const { key } of over.slice(0, Math.max(0, over.length - MAX_OVER))) changes.write.set(key, null);
  return changes;
}

function resolve(
  before: AlertRecord,
  told: Pick<AlertRecord, 'owed'> & { toldAt: number },
  changes: AlertChanges,
  wake: (time: number) => void,
): void {
  const now = told.toldAt;
  const calm = before.key.startsWith('copy/') ? COPY_CALM_MS : CALM_MS;
  if (before.resolvedAt === null) {
    // It may come back at once: then nothing was over.
    changes.write.set(before.key, { ...before, resolvedAt: now });
    wake(now + calm);
    return;
  }
  if (now - before.resolvedAt < calm) {
    wake(before.resolvedAt + calm);
    return;
  }
  changes.resolved.push(before);
  changes.write.set(before.key, told.owed.length === 0 ? null : { ...before, over: true, ...told });
}
