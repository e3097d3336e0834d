import { FakeClusterApi, runningTask, smallCluster } from './fake-cluster-api.ts';

const ZONES = ['aws-us-west-2a', 'aws-us-west-2b', 'aws-eu-central-1a', 'ssh-rack1'];
const COPIES_OF_JOB = 20;
const EVENTS = 5000;

/** Machines over four zones, jobs of twenty copies each, some of it in trouble and some on its way: for what has to stay quick and small. */
export function largeCluster(size: { machines: number; copies: number }): FakeClusterApi {
  const one = smallCluster({ job: 'job-0', slug: 'job-0', machine: 'machine-0' });
  const api = new FakeClusterApi();
  const [job] = one.jobViews;
  const [copy] = one.copyViews;
  const [machine] = one.machineViews;
  const [event] = one.timeline;
  if (!job || !copy || !machine || !event) throw new Error('a small cluster has one of each');
  const zoneOf = (index: number): string => ZONES[index % ZONES.length] ?? '';
  api.machineViews = Array.from({ length: size.machines }, (_, i) => ({
    ...machine,
    id: `machine-${i}`,
    zone: zoneOf(i),
    address: `10.0.${i >> 8}.${i & 255}`,
    state: i % 97 === 3 ? 'unreachable' : i % 89 === 5 ? 'booting' : 'ready',
    cpu: { offered: 16, reserved: 5, used: 2.25 },
    mem: { offered: 65_536, reserved: 640, used: 812 },
    copies: [],
  }));
  for (let i = 0; i < size.copies; i++) {
    const home = api.machineViews[i % size.machines];
    if (!home) continue;
    const number = Math.floor(i / COPIES_OF_JOB);
    const state = i % 499 === 7 ? 'failing' : 'ready';
    const id = `job-${number}.${i % COPIES_OF_JOB}`;
    const of = { job: `job-${number}`, copy: id, state, version: 2 } as const;
    home.copies.push(of);
    api.copyViews.push({ ...copy, ...of, zone: home.zone, machine: home.id, task: runningTask(id, of.job) });
    if (state === 'failing') api.attention.push(`${id}: it ended with code 1, for the 5th time`);
  }
  api.jobViews = Array.from({ length: Math.ceil(size.copies / COPIES_OF_JOB) }, (_, i) => ({
    ...job,
    name: `job-${i}`,
    zones: Object.fromEntries(
      ZONES.map((zone) => [
        zone,
        { wanted: 5, ready: i % 25 === 0 ? 4 : 5, starting: 0, failing: i % 25 === 0 ? 1 : 0 },
      ]),
    ),
    rollout:
      i % 50 === 1
        ? { to: 2, state: 'rolling', startedAt: event.at, promoted: false, revertOf: null, sentence: null }
        : null,
    record: { ...job.record, name: `job-${i}`, slug: `job-${i}` },
  }));
  api.timeline = Array.from({ length: EVENTS }, (_, i) => ({
    ...event,
    seq: i + 1,
    job: `job-${i % Math.max(1, api.jobViews.length)}`,
    message: `job-${i % Math.max(1, api.jobViews.length)} was restarted for the ${i}th time`,
  }));
  return api;
}
