import type { Clock } from '../contracts/clock.ts';
import type {
  ClusterStatus,
  CopyView,
  EventQuery,
  Explanation,
  JobView,
  MachineView,
  ZoneCounts,
} from '../contracts/cluster-api.ts';
import { copyCondition } from '../decide/copy-state.ts';
import { type Health, healthOf } from '../decide/judge-machines.ts';
import { machineUse } from '../decide/machine-use.ts';
import { didYouMean } from '../decide/nearest-names.ts';
import { progressSentence, retrySentence } from '../decide/progress-sentence.ts';
import { CerebroError } from '../errors.ts';
import { jobRunViewOf, rollOutViewOf } from '../model/cluster-view.ts';
import type { CopyRecord } from '../model/copy.ts';
import type { ClusterEvent } from '../model/event.ts';
import { copiesIn, type JobRecord } from '../model/job.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { ClusterSnapshot, Complaint, MachineContact } from '../model/plan.ts';
import { nextTime } from '../model/schedule.ts';
import type { HostVitals } from '../model/vitals.ts';
import type { ClusterRecords } from './cluster-records.ts';
import { copyTimeline, findEvents } from './find-events.ts';
import type { ProgressBoard } from './progress-board.ts';

export interface ViewDeps {
  records: ClusterRecords;
  contacts: ReadonlyMap<string, MachineContact & { host: HostVitals | null }>;
  clock: Clock;
  snapshot(): ClusterSnapshot;
  complaints(): readonly Complaint[];
  progress: Pick<ProgressBoard, 'machine' | 'copy'>;
}

const EXPLAINED_EVENTS = 20;

/** What a copy's own record does not say. */
interface Beside {
  /** The machines that are unreachable now, and since when. */
  silence: ReadonlyMap<string, number>;
  /** The copies that names still lead to. */
  held: ClusterSnapshot['dnsHolds'];
}

/** What people and programs are shown, made from the records and the last observations at the moment they ask. */
export class ClusterViews {
  readonly #deps: ViewDeps;

  constructor(deps: ViewDeps) {
    this.#deps = deps;
  }

  summary(): Pick<ClusterStatus, 'jobs' | 'machines' | 'copies' | 'attention'> {
    const { records } = this.#deps;
    const copies: ClusterStatus['copies'] = {};
    const attention = this.#deps.complaints().map((complaint) => complaint.sentence);
    for (const copy of this.copies({})) {
      copies[copy.state] = (copies[copy.state] ?? 0) + 1;
      if (copy.state === 'failing' || copy.state === 'unknown') attention.push(`${copy.copy}: ${copy.reason}`);
    }
    for (const machine of this.machines()) {
      if (machine.state === 'suspect' || machine.state === 'unreachable' || machine.state === 'lost')
        attention.push(`${machine.id} is ${machine.state}: ${machine.reason}`);
    }
    return { jobs: records.jobs.size, machines: records.machines.size, copies, attention };
  }

  jobs(): JobView[] {
    const byJob = this.#copiesByJob();
    return [...this.#deps.records.jobs.values()].map((job) => this.#jobView(job, byJob.get(job.name) ?? []));
  }

  jobView(job: JobRecord): JobView {
    return this.#jobView(job, this.copies({ job: job.name }));
  }

  copies(filter: { job?: string; machine?: string }): CopyView[] {
    const beside = this.#beside();
    const views: CopyView[] = [];
    for (const copy of this.#deps.records.copies.values()) {
      if (filter.job !== undefined && copy.job !== filter.job) continue;
      if (filter.machine !== undefined && copy.machine !== filter.machine) continue;
      views.push(this.#copyView(copy, beside));
    }
    return views.sort((a, b) => (a.job < b.job ? -1 : a.job > b.job ? 1 : serial(a.copy) - serial(b.copy)));
  }

  machines(): MachineView[] {
    const byMachine = new Map<string, CopyView[]>();
    for (const copy of this.copies({})) {
      const list = byMachine.get(copy.machine);
      if (list) list.push(copy);
      else byMachine.set(copy.machine, [copy]);
    }
    const snapshot = this.#deps.snapshot();
    return [...this.#deps.records.machines.values()]
      .map((machine) => this.#machineView(machine, byMachine.get(machine.id) ?? [], healthOf(machine, snapshot)))
      .sort((a, b) => (a.zone < b.zone ? -1 : a.zone > b.zone ? 1 : Date.parse(a.createdAt) - Date.parse(b.createdAt)));
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
      if (jobs.has(name)) throw new CerebroError('not_found', `"${name}" has no copies yet, so there is no log`);
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
    if (copy) {
      const view = this.#copyView(copy, this.#beside());
      return {
        about: `copy ${about}`,
        sentences: [copySentence(view)],
        timeline: copyTimeline(records.events, copy, EXPLAINED_EVENTS),
      };
    }
    const machine = this.machines().find((view) => view.id === about);
    if (machine) {
      const sentences = [
        `${machine.id} (${machine.type}) is ${machine.state}: ${machine.reason}`,
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
    const view = this.jobView(job);
    const sentences: string[] = [];
    for (const [zone, counts] of Object.entries(view.zones)) {
      sentences.push(
        `${zone}: ${counts.ready} of ${counts.wanted} copies are ready${counts.failing > 0 ? `, ${counts.failing} failing` : ''}`,
      );
    }
    for (const copy of this.copies({ job: job.name })) if (copy.state !== 'ready') sentences.push(copySentence(copy));
    for (const { about, sentence } of this.#deps.complaints()) {
      const ofItsZone = about.job === undefined && about.machine === undefined && about.zone !== undefined;
      if (about.job === job.name || (ofItsZone && about.zone !== undefined && about.zone in view.zones))
        sentences.push(sentence);
    }
    if (job.state === 'removing') sentences.push('it is being removed');
    return { about: `job ${job.name}`, sentences, timeline: this.events({ job: job.name, limit: EXPLAINED_EVENTS }) };
  }

  #jobView(job: JobRecord, copies: readonly CopyView[]): JobView {
    const zones: Record<string, ZoneCounts> = {};
    const counts = (zone: string): ZoneCounts => {
      zones[zone] ??= { wanted: 0, ready: 0, starting: 0, failing: 0 };
      return zones[zone];
    };
    if (job.state === 'active')
      for (const [zone, entry] of Object.entries(job.spec.deployment_layout)) counts(zone).wanted = copiesIn(entry);
    for (const copy of copies) {
      if (copy.state === 'stopping') continue;
      const zone = counts(copy.zone);
      // A follower's layout is its leader's: it wants what it was given.
      if (job.spec.linked_job !== undefined && job.spec.deployment_layout[copy.zone] === undefined) zone.wanted += 1;
      if (copy.state === 'ready' || copy.state === 'completed') zone.ready += 1;
      else if (copy.state === 'failing' || copy.state === 'unknown') zone.failing += 1;
      else zone.starting += 1;
    }
    const lastRun = job.runs.at(-1);
    return {
      name: job.name,
      version: job.version,
      state: job.state,
      zones,
      stopped: job.stopped,
      rollout: rollOutViewOf(job),
      goodVersion: job.goodVersion,
      nextRun: this.#nextRun(job),
      lastRun: lastRun ? jobRunViewOf(lastRun) : null,
      updatedAt: job.updatedAt,
      linkedJob: job.spec.linked_job ?? null,
    };
  }

  #nextRun(job: JobRecord): string | null {
    if (job.spec.schedule === undefined || job.stopped || job.state !== 'active') return null;
    const next = nextTime(job.spec.schedule, this.#deps.clock.now());
    return next === null ? null : new Date(next).toISOString();
  }

  #copyView(copy: CopyRecord, { silence, held }: Beside): CopyView {
    const { records, contacts } = this.#deps;
    const progress = this.#deps.progress.copy(copy.id) ?? this.#deps.progress.machine(copy.machine);
    const { state, reason, task } = copyCondition(
      copy,
      records.machines.get(copy.machine),
      contacts.get(copy.machine),
      silence.get(copy.machine) ?? null,
      progress,
    );
    return {
      copy: copy.id,
      job: copy.job,
      zone: copy.zone,
      machine: copy.machine,
      state,
      reason: held?.has(copy.id) ? `${reason}; it goes on until nobody can be led to it by name any more` : reason,
      version: copy.version,
      cpu: copy.cpu,
      mem: copy.mem,
      createdAt: new Date(copy.createdAt).toISOString(),
      task,
      ...(state !== 'ready' && progress?.percent != null && { percent: progress.percent }),
    };
  }

  #machineView(machine: MachineRecord, copies: readonly CopyView[], health: Health): MachineView {
    const contact = this.#deps.contacts.get(machine.id);
    const serving = machine.state === 'ready' || machine.state === 'draining';
    const silent = serving && health !== 'ok';
    const progress = this.#deps.progress.machine(machine.id);
    const usage = contact?.tasks ? [...contact.tasks.values()].flatMap((task) => task.usage ?? []) : null;
    const used = machineUse(machine, contact?.host ?? null, usage);
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      id: machine.id,
      zone: machine.zone,
      state: silent ? health : machine.state,
      reason: silent
        ? `not heard since ${new Date(contact?.heardAt || machine.stateSince).toISOString()}`
        : machine.lastError === null
          ? ((progress && progressSentence(progress)) ?? machine.reason)
          : retrySentence(machine.lastError, machine),
      address: machine.address,
      type: machine.type,
      cordoned: machine.cordoned,
      cpu: {
        offered: machine.cpu,
        reserved: round(sum(copies.map((copy) => copy.cpu))),
        used: used.cpu,
      },
      mem: {
        offered: machine.mem,
        reserved: sum(copies.map((copy) => copy.mem)),
        used: used.mem,
      },
      since: new Date(machine.stateSince).toISOString(),
      createdAt: new Date(machine.createdAt).toISOString(),
      copies: copies.map(({ job, copy, state, version }) => ({ job, copy, state, version })),
      ...(progress?.percent != null && { percent: progress.percent }),
    };
  }

  #beside(): Beside {
    const snapshot = this.#deps.snapshot();
    const silent = new Map<string, number>();
    for (const machine of this.#deps.records.machines.values()) {
      if (machine.state !== 'ready' && machine.state !== 'draining') continue;
      if (healthOf(machine, snapshot) === 'unreachable')
        silent.set(machine.id, this.#deps.contacts.get(machine.id)?.heardAt || machine.stateSince);
    }
    return { silence: silent, held: snapshot.dnsHolds };
  }

  #copiesByJob(): Map<string, CopyView[]> {
    const byJob = new Map<string, CopyView[]>();
    for (const copy of this.copies({})) {
      const list = byJob.get(copy.job);
      if (list) list.push(copy);
      else byJob.set(copy.job, [copy]);
    }
    return byJob;
  }
}

function copySentence(copy: CopyView): string {
  return `${copy.copy} on ${copy.machine} is ${copy.state}: ${copy.reason}`;
}

function serial(copy: string): number {
  return Number(copy.slice(copy.lastIndexOf('.') + 1));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
