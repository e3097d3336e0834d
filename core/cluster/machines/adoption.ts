import type { Clock } from '../../contracts/clock.ts';
import type { Explanation } from '../../contracts/cluster-api.ts';
import type { FoundMachine, MachineProvider } from '../../contracts/machine-provider.ts';
import type { Operation } from '../../contracts/state-store.ts';
import { foundTasks, isShapeOf, mayTake } from '../../decide/plan/found-tasks.ts';
import { CerebroError } from '../../errors.ts';
import type { AdoptionView, FoundMachineView, FoundTaskView } from '../../model/adoption.ts';
import type { NewEvent } from '../../model/event.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { type TaskDefinition, withoutSecrets } from '../../model/task.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import { newToken } from '../records/new-records.ts';
import { type SurveyedMachine, surveyFleet, takeOverFleet } from './fleet-survey.ts';
import { foundSentences } from './found-sentences.ts';

export interface AdoptionDeps {
  records: ClusterRecords;
  providers: ReadonlyMap<string, MachineProvider>;
  clock: Clock;
  /** Throws where we do not lead. */
  demand(): void;
  /** The records have changed, and providers are to be asked anew. */
  onAdopted(): Promise<void>;
}

export interface AdoptionOrder {
  /** Whose machines; absent: those with our own tag that this store has never ordered. */
  cluster?: string | undefined;
  dryRun: boolean;
  by: string;
}

/**
 * Takes over machines that run already: after a store was lost, or a backup was restored that is older than the fleet. Nothing on them
 * is touched for it; only their sitters are given a certificate of this cluster, by the way round them. Their tags stay as they are:
 * a cluster that has no machines yet takes the name of the fleet as its own.
 */
export class Adoption {
  readonly #deps: AdoptionDeps;

  constructor(deps: AdoptionDeps) {
    this.#deps = deps;
  }

  async adopt(order: AdoptionOrder): Promise<AdoptionView> {
    const { records, clock } = this.#deps;
    this.#deps.demand();
    const { machines, problems } = await this.#survey();
    const cluster = order.cluster ?? this.#onlyCluster(machines, order.dryRun);
    const ofCluster = machines.filter(({ found }) => cluster === null || found.clusterId === cluster);
    if (!order.dryRun) {
      if (order.cluster !== undefined && ofCluster.length === 0)
        throw new CerebroError(
          'not_found',
          `no provider has a machine of the cluster "${order.cluster}" that is not known here${problems.length > 0 ? ` (${problems.join('; ')})` : ''}`,
        );
      if (cluster !== null) this.#refuseTwoNames(cluster);
      await takeOverFleet(ofCluster, clock);
      const adoptable = ofCluster.filter(({ problem }) => problem === null);
      // A name is not taken without its fleet.
      if (cluster !== null && adoptable.length > 0)
        await records.transact(() => this.#write(cluster, ofCluster, order.by, clock.now()));
      await this.#deps.onAdopted();
    }
    return {
      dryRun: order.dryRun,
      cluster,
      machines: ofCluster.map((machine) => this.#view(machine)),
      left: this.left(),
      problems,
    };
  }

  /** Ends tasks that were found and are nobody's: what no record knows is taken off its machine. */
  async end(ids: readonly string[], by: string): Promise<void> {
    const { records } = this.#deps;
    await records.transact(() => {
      const known = new Set([...foundTasks(records.machines.values())].map(({ task }) => task.id));
      const missing = ids.filter((id) => !known.has(id));
      if (missing.length > 0)
        throw new CerebroError('not_found', `no such task was found and left alone: ${missing.join(', ')}`);
      const write: Operation[] = [];
      const events: NewEvent[] = [];
      for (const machine of records.machines.values()) {
        const ended = machine.found?.filter(({ id }) => ids.includes(id)) ?? [];
        if (ended.length === 0) continue;
        const found = machine.found?.filter((task) => !ended.includes(task));
        write.push({ put: keys.machine(machine.id), value: { ...machine, found } satisfies MachineRecord });
        for (const { id } of ended)
          events.push({ level: 'info', kind: 'found-ended', message: `${id} is ended`, machine: machine.id, by });
      }
      return { write, events };
    });
    await this.#deps.onAdopted();
  }

  /** Tasks on machines that were adopted, which are nobody's yet. */
  left(): FoundTaskView[] {
    const { machines } = this.#deps.records;
    return [...foundTasks(machines.values())].map(({ machine, task }) => this.#taskView(machine.id, task));
  }

  /** Adds to an explanation what was found there; and explains what only a provider knows of. */
  async explain(about: string, known: () => Explanation): Promise<Explanation> {
    try {
      const explanation = known();
      const left = this.left().filter(({ machine, job, task }) => [machine, job, task].includes(about));
      const more = left.map(({ task, machine, becomes }) => `${task} on ${machine} is nobody's: ${becomes}`);
      return { ...explanation, sentences: [...explanation.sentences, ...more] };
    } catch (error) {
      if (!(error instanceof CerebroError) || error.code !== 'not_found') throw error;
      const left = this.left().find(({ task, job }) => task === about || job === about);
      if (left) return { about: `task ${left.task}`, sentences: [`on ${left.machine}: ${left.becomes}`], timeline: [] };
      // Who has mistyped a name does not wait for every host of an inventory.
      const sellers = [...this.#deps.providers.values()].filter(({ name }) => about.startsWith(`${name}-`));
      if (sellers.length === 0) throw error;
      const { machines } = await this.#survey((found) => found.machineId === about, sellers);
      const sentences = machines.flatMap((machine) => foundSentences(machine, this.#deps.records.clusterId));
      if (sentences.length === 0) throw error;
      return { about: `machine ${about}`, sentences, timeline: [] };
    }
  }

  #survey(
    wanted: (found: FoundMachine) => boolean = () => true,
    providers: Iterable<MachineProvider> = this.#deps.providers.values(),
  ): ReturnType<typeof surveyFleet> {
    const { records, clock } = this.#deps;
    return surveyFleet(providers, clock, {
      wanted,
      recordOf: ({ clusterId, machineId }) =>
        clusterId === records.clusterId ? records.machines.get(machineId) : undefined,
    });
  }

  /** Whose machines are meant where nobody says it. Another cluster's are never taken without its name. */
  #onlyCluster(machines: readonly SurveyedMachine[], dryRun: boolean): string | null {
    const { clusterId } = this.#deps.records;
    if (machines.some(({ found }) => found.clusterId === clusterId)) return clusterId;
    const clusters = new Set(machines.map(({ found }) => found.clusterId));
    if (!dryRun && clusters.size > 0)
      throw new CerebroError(
        'ambiguous',
        `none of the machines that were found bears this cluster's own tag. Say whose to adopt: --cluster ${[...clusters].join(' or --cluster ')}`,
      );
    const [only, ...others] = clusters;
    return only !== undefined && others.length === 0 ? only : null;
  }

  #write(
    cluster: string,
    fleet: readonly SurveyedMachine[],
    by: string,
    now: number,
  ): { write: Operation[]; events: NewEvent[] } {
    const { records } = this.#deps;
    const write: Operation[] = [];
    const events: NewEvent[] = [];
    this.#refuseTwoNames(cluster); // machines may have been ordered meanwhile
    if (cluster !== records.clusterId) {
      write.push({ put: keys.cluster, value: cluster });
      const message = `this cluster is ${cluster} from here on, whose machines it adopts`;
      events.push({ level: 'warn', kind: 'cluster-renamed', message, by });
    }
    const serials = new Map<string, number>();
    for (const { found, tasks, problem } of fleet) {
      const { machineId: id, zone } = found;
      if (records.machines.has(id)) continue;
      if (problem !== null) {
        // Our numbers may pass its own now, and it was not one of ours that came late.
        write.push({ put: keys.stranger(id), value: found.ref });
        continue;
      }
      write.push({ put: keys.machine(id), value: adoptedMachine(found, tasks, by, now) });
      if (records.strangers.has(id)) write.push({ delete: keys.stranger(id) });
      const serial = Number(id.slice(zone.length + 1));
      const next = serials.get(zone) ?? records.serials.get(zone) ?? 1;
      serials.set(zone, Number.isInteger(serial) ? Math.max(next, serial + 1) : next);
      const message = `${id} (${found.ref}) is adopted, with ${tasks.length} tasks`;
      events.push({ level: 'info', kind: 'machine-adopted', message, machine: id, by });
    }
    for (const [zone, next] of serials) {
      write.push({ put: keys.serial(zone), value: next });
      // What nobody could look at just now is not known by name, and is no more one of ours that came late.
      write.push({ put: keys.adopted(zone), value: Math.max(next, records.adoptedBelow.get(zone) ?? 0) });
    }
    return { write, events };
  }

  #refuseTwoNames(cluster: string): void {
    const { clusterId, machines } = this.#deps.records;
    if (cluster === clusterId || machines.size === 0) return;
    throw new CerebroError(
      'conflict',
      `this cluster has ${machines.size} machines of its own, and cannot take another's name and machines: adopt them from a cluster sitter with a fresh store`,
    );
  }

  #view({ found, tasks, problem }: SurveyedMachine): FoundMachineView {
    const { machineId: machine, ref, clusterId: cluster, zone, type, state, address } = found;
    const views = tasks.map((task) => this.#taskView(machine, task));
    return { machine, ref, cluster, zone, type: type.name, state, address, tasks: views, problem };
  }

  #taskView(machine: string, task: TaskDefinition): FoundTaskView {
    const { jobs, copies } = this.#deps.records;
    const job = jobs.get(task.job);
    const becomes = copies.has(task.id)
      ? `another copy has its name by now; it runs on as it is, until: cerebro adopt --end ${task.id}`
      : !job || !mayTake(job)
        ? `${job ? `"${task.job}" is stopped, or runs by turns` : `there is no job "${task.job}"`}; it runs on as it is until that changes, or: cerebro adopt --end ${task.id}`
        : isShapeOf(task, job.spec)
          ? `it is a copy of "${job.name}"`
          : `it is a copy of "${job.name}" with an older configuration, and is updated`;
    return { task: task.id, machine, job: task.job, version: task.version, becomes };
  }
}

function adoptedMachine(found: FoundMachine, tasks: TaskDefinition[], by: string, now: number): MachineRecord {
  const { machineId, zone, type, intent, ref, address, endpoint } = found;
  return {
    id: machineId,
    zone,
    state: 'deploying',
    type: type.name,
    cpu: type.cpu,
    mem: type.mem,
    intent,
    token: newToken(),
    ref,
    address,
    endpoint,
    replaces: null,
    cordoned: false,
    labels: type.labels ?? {},
    price: type.price ?? null,
    drainUntil: null,
    // What secrets they were given stays on their machine.
    found: tasks.map(withoutSecrets),
    reason: `adopted by ${by}`,
    createdAt: now,
    stateSince: now,
    attempts: 0,
    nextAttemptAt: 0,
    lastError: null,
  };
}
