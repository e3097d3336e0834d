import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import type { ClusterSitter } from '../core/cluster/cluster-sitter.ts';
import type { MachineLink } from '../core/cluster/machines/machine-link.ts';
import type { MachineMessage } from '../core/model/machine-stream.ts';
import type { TaskStatus } from '../core/model/task.ts';
import type { HostVitals } from '../core/model/vitals.ts';
import { ClusterFixture } from '../test/decide/cluster-fixture.ts';
import { MemoryStore } from '../test/fakes/memory-store.ts';
import { smallClusterSitter } from '../test/fakes/small-cluster-sitter.ts';
import { StubbornProvider } from '../test/fakes/stubborn-provider.ts';

const ZONES = ['fake-a', 'fake-b', 'fake-c', 'fake-d'];
const COPIES_OF_JOB = 20;
const BEAT_MS = 1000;
/** As often as a machine sitter tells of itself and of what its tasks take. */
const VITALS_MS = 2000;

/**
 * A real cluster sitter, with its records, views, planner and timeline, over machines that are only said to be there: each has its
 * stream, which beats and tells figures as often as a real one.
 */
export async function largeClusterSitter(size: { machines: number; copies: number }): Promise<ClusterSitter> {
  const fixture = filled(size);
  const store = new MemoryStore();
  const write = [
    { put: 'meta/cluster', value: 'bench' },
    ...[...fixture.jobs.values()].flatMap((job) => {
      const { name, version, spec, createdAt } = job;
      const made = { job: name, version, spec, createdAt, by: 'bench', outcome: 'good', sentence: null };
      return [
        { put: `job/${name}`, value: job },
        { put: `version/${name}/${String(version).padStart(8, '0')}`, value: made },
      ];
    }),
    ...[...fixture.machines.values()].map((machine) => ({ put: `machine/${machine.id}`, value: machine })),
    ...[...fixture.copies.values()].map((copy) => ({ put: `copy/${copy.id}`, value: copy })),
    ...Array.from({ length: 10_000 }, (_, i) => ({ put: `event/${String(i + 1).padStart(12, '0')}`, value: event(i) })),
  ];
  await store.commit({ write });
  const sitter = smallClusterSitter(
    { store, providers: [new Listing(fixture)], link: () => new SaidToBeThere(fixture) },
    { max_idle_per_zone: -1 },
  );
  await sitter.start();
  return sitter;
}

function filled({ machines, copies }: { machines: number; copies: number }): ClusterFixture {
  const fixture = new ClusterFixture();
  const layout = Object.fromEntries(ZONES.map((zone) => [zone, COPIES_OF_JOB / ZONES.length]));
  const ids: string[] = [];
  for (let i = 0; i < machines; i++) {
    const id = `${ZONES[i % ZONES.length]}-${i + 1}`;
    ids.push(id);
    fixture.machine(id, { ref: `i-${id}`, address: `10.0.${i >> 8}.${i & 255}`, cpu: 16, mem: 65_536 });
  }
  for (let i = 0; i < copies; i++) {
    const job = `job-${Math.floor(i / COPIES_OF_JOB)}`;
    if (!fixture.jobs.has(job)) fixture.job(job, layout, { task: { cpu: 0.5, mem: 64 } });
    fixture.copy(`${job}.${(i % COPIES_OF_JOB) + 1}`, ids[i % machines] ?? '');
  }
  return fixture;
}

function event(i: number): object {
  const job = `job-${i % 100}`;
  const at = new Date(Date.now() - (10_000 - i) * 1000).toISOString();
  return { seq: i + 1, at, level: 'info', kind: 'task-started', message: `${job}.1 runs for the ${i}th time`, job };
}

/** All machines are on its list, from the beginning. */
class Listing extends StubbornProvider {
  readonly #fixture: ClusterFixture;

  constructor(fixture: ClusterFixture) {
    super();
    this.#fixture = fixture;
  }

  override async describe(): ReturnType<StubbornProvider['describe']> {
    return [...this.#fixture.machines.values()].map((machine) => ({
      ref: machine.ref ?? '',
      clusterId: 'bench',
      machineId: machine.id,
      zone: machine.zone,
      intent: machine.intent,
      state: 'running',
      address: machine.address,
      endpoint: machine.endpoint,
    }));
  }
}

class SaidToBeThere implements MachineLink {
  readonly #tasks = new Map<string, TaskStatus[]>();

  constructor(fixture: ClusterFixture) {
    for (const [id, contact] of fixture.contacts) this.#tasks.set(id, [...contact.tasks.values()]);
  }

  async *watch(machine: { id: string }, _since: number, signal: AbortSignal): AsyncGenerator<MachineMessage> {
    const tasks = this.#tasks.get(machine.id) ?? [];
    yield { type: 'hello', enforcer: 'proc', tasks };
    // The sitter waits at it, too.
    setMaxListeners(50, signal);
    // Not all in the same millisecond.
    await pause(Math.random() * BEAT_MS, signal);
    for (let beat = 0; !signal.aborted; beat++) {
      await pause(BEAT_MS, signal);
      yield { type: 'beat' };
      if ((beat * BEAT_MS) % VITALS_MS !== 0) continue;
      yield { type: 'vitals', host: vitals() };
      for (const task of tasks) yield { type: 'task', task: { ...task, usage: usage() } };
    }
  }

  history: MachineLink['history'] = async (_machine, of, span) => {
    const points = Array.from({ length: 720 }, (_, i) => Math.abs(Math.sin(i / 40)));
    return { of, span, from: new Date().toISOString(), stepSeconds: 5, series: { cpu: points, memBytes: points } };
  };

  async close(): Promise<void> {
    await Promise.resolve();
  }

  forget(): void {
    // Nothing is kept of a machine.
  }

  greet: MachineLink['greet'] = () => Promise.resolve();
  putIdentity: MachineLink['putIdentity'] = () => Promise.resolve();
  leash: MachineLink['leash'] = () => Promise.resolve();
  removeTask: MachineLink['removeTask'] = () => Promise.resolve();
  runs: MachineLink['runs'] = () => Promise.resolve([]);
  log: MachineLink['log'] = () => Promise.resolve({ status: 200, headers: {}, body: Readable.from([]) });

  putTask: MachineLink['putTask'] = (machine, { id }) => {
    const task = this.#tasks.get(machine.id)?.find((one) => one.id === id);
    return task
      ? Promise.resolve(task)
      : Promise.reject(new Error(`nothing is to be started in a bench, but ${id} was`));
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

function usage(): TaskStatus['usage'] {
  const [cpu, memBytes] = [Math.random() / 2, Math.round(Math.random() * 60e6)];
  return { cpu, memBytes, processes: 1, throttledSeconds: 0, readBytes: 0, writtenBytes: 0 };
}

function vitals(): HostVitals {
  const cores = Array.from({ length: 16 }, () => Math.random());
  return {
    at: new Date().toISOString(),
    seconds: 2,
    uptimeSeconds: 86_400,
    cpu: { cores: 16, used: cores.reduce((a, b) => a + b, 0), perCore: cores, waiting: 0, stolen: 0 },
    memory: { totalBytes: 64e9, usedBytes: 12e9, availableBytes: 52e9, swapTotalBytes: 0, swapUsedBytes: 0 },
    load: { one: 1, five: 1, fifteen: 1 },
    disk: { totalBytes: 100e9, usedBytes: 10e9, availableBytes: 90e9 },
    network: { receivedRate: 1000, sentRate: 1000 },
    pressure: null,
  };
}
