import type {
  ClusterStatus,
  CopyView,
  EventQuery,
  Explanation,
  JobView,
  MachineView,
} from '../../contracts/cluster-api.ts';
import { machineNext } from '../../decide/machine-next.ts';
import { jobSentences } from '../../decide/words/job-sentences.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterEvent } from '../../model/event.ts';
import type { JobRecord } from '../../model/job.ts';
import type { Complaint } from '../../model/plan.ts';
import type { HostVitals } from '../../model/vitals.ts';
import { copyTimeline, findEvents } from './find-events.ts';
import { type MadeFrom, type MadeViews, makeViews } from './made-views.ts';

export type ViewDeps = MadeFrom;

/** So long views are shown while nothing happens: figures, and how long a machine has been silent, may be that old. */
const KEEP_MS = 500;
/** In a cluster so large that to make them takes long, they are kept for this many times that, so that it takes little of the whole time. */
const KEEP_TIMES = 20;
const KEEP_MOST_MS = 2000;
const EXPLAINED_EVENTS = 20;

/**
 * What people and programs are shown, made from the records and the last observations. It is made once for all who ask, and anew when
 * something has happened: of ten thousand copies, to make it takes longer than to show it.
 */
export class ClusterViews {
  readonly #deps: ViewDeps;
  #made: (MadeViews & { until: number }) | null = null;

  constructor(deps: ViewDeps) {
    this.#deps = deps;
  }

  /** Something is not as it was; `figures`: only numbers, which may be a moment late. */
  changed(what?: 'figures'): void {
    if (what === undefined) this.#made = null;
  }

  summary(): Pick<ClusterStatus, 'jobs' | 'machines' | 'copies' | 'attention'> {
    const { records } = this.#deps;
    const copies: ClusterStatus['copies'] = {};
    const attention = this.#deps.complaints().map((complaint) => complaint.sentence);
    for (const copy of this.#now().copies) {
      copies[copy.state] = (copies[copy.state] ?? 0) + 1;
      if (copy.state === 'failing' || copy.state === 'unknown') attention.push(`${copy.copy}: ${copy.reason}`);
    }
    for (const machine of this.#now().machines) {
      if (machine.state === 'suspect' || machine.state === 'unreachable' || machine.state === 'lost')
        attention.push(`${machine.id} is ${machine.state}: ${machine.reason}`);
    }
    return { jobs: records.jobs.size, machines: records.machines.size, copies, attention };
  }

  jobs(): JobView[] {
    return [...this.#now().jobs];
  }

  /** Throws `not_found`. */
  job(name: string): JobView {
    const view = this.#now().jobs.find((job) => job.name === name);
    if (view) return view;
    throw new CerebroError('not_found', `there is no job "${name}"${didYouMean(name, this.#deps.records.jobs.keys())}`);
  }

  copies(filter: { job?: string; machine?: string }): CopyView[] {
    const { copies, copiesOfJob, copiesOfMachine } = this.#now();
    const { job, machine } = filter;
    if (machine !== undefined)
      return (copiesOfMachine.get(machine) ?? []).filter((copy) => job === undefined || copy.job === job);
    return [...(job === undefined ? copies : (copiesOfJob.get(job) ?? []))];
  }

  machines(): MachineView[] {
    return [...this.#now().machines];
  }

  vitals(machine: string): HostVitals | null {
    return this.#deps.contacts.get(machine)?.host ?? null;
  }

  events(query: EventQuery): ClusterEvent[] {
    return findEvents(this.#deps.records.events, query);
  }

  /** The copy that `/logs/NAME` means. Throws `not_found` with the nearest names, or `ambiguous` with the candidates. */
  findCopy(
    name: string,
    which: { machine?: string | undefined; copy?: string | undefined },
  ): CopyRecord & { copy: string } {
    const { copies, jobs } = this.#deps.records;
    const exact = copies.get(name);
    if (exact) return { ...exact, copy: exact.id };
    const ofJob = [...copies.values()].filter((copy) => copy.job === name);
    if (ofJob.length === 0) {
      const job = jobs.get(name);
      if (job)
        throw new CerebroError(
          'not_found',
          `"${name}" has no copies ${job.stopped ? 'while it is stopped' : 'yet'}, so there is no log`,
        );
      throw new CerebroError(
        'not_found',
        `there is no task "${name}"${didYouMean(name, new Set([...jobs.keys(), ...copies.keys()]))}`,
      );
    }
    const fitting = ofJob.filter(
      (copy) =>
        (which.copy === undefined || copy.id === which.copy) &&
        (which.machine === undefined || copy.machine === which.machine),
    );
    const [only, ...others] = fitting;
    const all = ofJob.map((copy) => `copy=${copy.id} (on ${copy.machine})`).join(', ');
    if (!only) throw new CerebroError('not_found', `"${name}" has no such copy; it has ${all}`);
    if (others.length > 0)
      throw new CerebroError('ambiguous', `"${name}" has ${fitting.length} copies; say which: ${all}`);
    return { ...only, copy: only.id };
  }

  explain(about: string): Explanation {
    const { records } = this.#deps;
    const job = records.jobs.get(about);
    if (job) return this.#explainJob(job);
    const copy = records.copies.get(about);
    const view = copy && this.#now().copies.find(({ copy: id }) => id === about);
    if (copy && view) {
      return {
        about: `copy ${about}`,
        sentences: [copySentence(view)],
        timeline: copyTimeline(records.events, copy, EXPLAINED_EVENTS),
      };
    }
    const machine = this.machines().find((view) => view.id === about);
    if (machine) {
      const sentences = [
        this.#machineSentence(machine),
        ...this.#sentencesAbout(({ about: { machine: id } }) => id === about),
        ...this.copies({ machine: about }).map(copySentence),
      ];
      return {
        about: `machine ${about}`,
        sentences,
        timeline: this.events({ machine: about, limit: EXPLAINED_EVENTS }),
      };
    }
    const gone = this.#explainGone(about);
    if (gone) return gone;
    const known = new Set([...records.jobs.keys(), ...records.copies.keys(), ...records.machines.keys()]);
    throw new CerebroError('not_found', `there is no job, machine or copy "${about}"${didYouMean(about, known)}`);
  }

  /** What the timeline still tells of something that is no more. */
  #explainGone(about: string): Explanation | null {
    for (const kind of ['machine', 'copy', 'job'] as const) {
      const timeline = this.events({ [kind]: about, limit: EXPLAINED_EVENTS });
      const last = timeline.at(-1);
      if (last) return { about: `${kind} ${about}`, sentences: [`it is gone: ${last.message}`], timeline };
    }
    return null;
  }

  #explainJob(job: JobRecord): Explanation {
    const view = this.job(job.name);
    const sentences: string[] = [];
    for (const [zone, counts] of Object.entries(view.zones)) {
      sentences.push(
        `${zone}: ${counts.ready} of ${counts.wanted} ${counts.wanted === 1 ? 'copy is' : 'copies are'} ready${counts.failing > 0 ? `, ${counts.failing} failing` : ''}`,
      );
    }
    const copies = this.copies({ job: job.name });
    const leaders = view.linkedJob === null ? 0 : this.copies({ job: view.linkedJob }).length;
    sentences.push(...copies.filter(({ state }) => state !== 'ready').map(copySentence));
    sentences.push(
      ...this.#sentencesAbout(({ about: { job: of, machine, zone } }) =>
        of === undefined ? machine === undefined && zone !== undefined && zone in view.zones : of === job.name,
      ),
      ...jobSentences(view, { own: copies.length, leaders }),
    );
    return { about: `job ${job.name}`, sentences, timeline: this.events({ job: job.name, limit: EXPLAINED_EVENTS }) };
  }

  #sentencesAbout(wanted: (complaint: Complaint) => boolean): string[] {
    return this.#deps
      .complaints()
      .filter(wanted)
      .map(({ sentence }) => sentence);
  }

  #machineSentence(view: MachineView): string {
    const record = this.#deps.records.machines.get(view.id);
    const next = record && machineNext(record, view.copies.length, this.#deps.snapshot(), this.#deps.complaints());
    const why = `${view.id} (${view.type}) is ${view.state}: ${view.reason}`;
    return next ? `${why}; ${next}` : why;
  }

  #now(): MadeViews {
    const { clock } = this.#deps;
    const from = clock.monotonic();
    if (this.#made !== null && from < this.#made.until) return this.#made;
    const made = makeViews(this.#deps);
    const at = clock.monotonic();
    const keepMs = Math.min(KEEP_MOST_MS, Math.max(KEEP_MS, KEEP_TIMES * (at - from)));
    this.#made = { ...made, until: at + keepMs };
    return this.#made;
  }
}

/** Why it is as it is, and what comes next. */
function copySentence({ copy, machine, state, reason, next }: CopyView): string {
  const why = `${copy} on ${machine} is ${state}: ${reason}`;
  return next === undefined ? why : `${why}; ${next}`;
}
