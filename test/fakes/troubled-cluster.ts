import type { CopyView, MachineView } from '../../core/contracts/cluster-api.ts';
import { MACHINE_SERIES, TASK_SERIES } from '../../core/model/history.ts';
import { type JobSpec, jobSpec } from '../../core/model/job.ts';
import type { RunEnd } from '../../core/model/task.ts';
import { FakeClusterApi, runningTask, smallCluster } from './fake-cluster-api.ts';

/** Sixty characters without a place to break. */
export const LONG_NAME = 'payments-reconciliation-and-settlement-importer-eu-central-1';
const LONG_MACHINE = 'aws-eu-central-1a-i-0123456789abcdef0';
const LONG_TYPE = 'm7i-flex.metal-48xl';
const WEST = 'aws-us-west-2a';
const FRANKFURT = 'aws-eu-central-1a';
const MB = 1024 * 1024;
const FAILURE = 'web.25 exited with code 3 within 10 s, three times: cannot bind to port 8080, it is taken';

/** Minutes ago, as an ISO time. */
const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

/**
 * A cluster on a bad day, for pages that have to stay calm then: forty copies, a roll-out that failed, three machines lost, names of
 * sixty characters, a job that waits for room, one that is being removed.
 */
export function troubledCluster(): FakeClusterApi {
  const api = new FakeClusterApi();
  const [job] = smallCluster({ job: 'web', slug: 'web', machine: 'm' }).jobViews;
  const [machine] = smallCluster({ job: 'web', slug: 'web', machine: 'm' }).machineViews;
  if (!job || !machine) throw new Error('a small cluster has one of each');
  const specOf = (name: string, more: object = {}): JobSpec =>
    jobSpec.parse({
      task_configuration: {
        name,
        command: `/opt/releases/${name}/bin/serve --listen 0.0.0.0:8080 --config /etc/${name}/production.yaml`,
        cpu: 0.5,
        mem: 64,
        env: { DATABASE: `postgres://${name}.internal.startup.example:5432/${name}` },
      },
      deployment_layout: { [WEST]: { count: 30 }, [FRANKFURT]: { count: 10 } },
      ...more,
    });
  const jobOf = (name: string, view: Partial<typeof job>): typeof job => ({
    ...job,
    name,
    updatedAt: ago(30),
    ...view,
    record: { ...job.record, ...view.record, name, slug: name, spec: specOf(name), updatedAt: ago(30) },
  });
  api.machineViews = machines(machine);
  api.copyViews = [...webCopies(), ...longCopies()];
  for (const { copy, job: of, machine: home, state, version } of api.copyViews)
    api.machineViews.find(({ id }) => id === home)?.copies.push({ copy, job: of, state, version });
  api.jobViews = [
    jobOf('web', {
      version: 8,
      zones: {
        [WEST]: { wanted: 30, ready: 21, starting: 3, failing: 6 },
        [FRANKFURT]: { wanted: 10, ready: 10, starting: 0, failing: 0 },
      },
      goodVersion: 7,
      rollout: { to: 8, state: 'failed', startedAt: ago(12), promoted: false, revertOf: null, sentence: FAILURE },
    }),
    jobOf(LONG_NAME, { zones: { [FRANKFURT]: { wanted: 3, ready: 2, starting: 1, failing: 0 } }, linkedJob: 'web' }),
    jobOf('search index', { zones: { [WEST]: { wanted: 6, ready: 0, starting: 0, failing: 0 } } }),
    jobOf('old-mailer', { state: 'removing', zones: {} }),
    jobOf('nightly report', {
      zones: { [WEST]: { wanted: 1, ready: 0, starting: 0, failing: 0 } },
      nextRun: new Date(Date.now() + 3_600_000).toISOString(),
    }),
    jobOf('stopped-by-hand', { stopped: true, zones: { [WEST]: { wanted: 4, ready: 0, starting: 0, failing: 0 } } }),
  ];
  api.versionList = [8, 7, 6].map((version) => ({
    job: 'web',
    version,
    spec: specOf('web', { version: `2026.11.${version}` }),
    createdAt: ago((9 - version) * 600),
    by: version === 8 ? 'token deploy pipeline of the payments team' : 'browser',
    outcome: version === 8 ? 'failed' : 'good',
    sentence: version === 8 ? FAILURE : null,
  }));
  tell(api);
  return api;
}

function machines(plain: MachineView): MachineView[] {
  const of = (id: string, zone: string, view: Partial<MachineView> = {}): MachineView => ({
    ...plain,
    id,
    zone,
    type: 'm7i.large',
    address: `10.12.${id.length}.7`,
    cpu: { offered: 16, reserved: 14.5, used: 9.73 },
    mem: { offered: 65_536, reserved: 60_000, used: 41_500 },
    since: ago(60 * 24 * 12),
    createdAt: ago(60 * 24 * 12),
    copies: [],
    ...view,
  });
  const lost = { state: 'lost', reason: 'not heard for 3 min, and the provider says it was terminated', since: ago(4) };
  return [
    of(LONG_MACHINE, FRANKFURT, { type: LONG_TYPE }),
    of('aws-eu-central-1a-2', FRANKFURT, { cordoned: true }),
    of(`${WEST}-1`, WEST),
    of(`${WEST}-2`, WEST, lost),
    of(`${WEST}-3`, WEST, lost),
    of(`${WEST}-4`, WEST, { ...lost, reason: 'not heard for 9 min, and nothing listens on its port', address: null }),
    of(`${WEST}-5`, WEST, { state: 'draining', reason: '6 of 11 copies run elsewhere', percent: 54, since: ago(7) }),
    of(`${WEST}-6`, WEST, {
      state: 'deploying',
      reason: 'the machine sitter’s program is being sent: 31 of 45 MB',
      percent: 68,
      since: ago(1),
      cpu: { offered: 16, reserved: 3, used: null },
      mem: { offered: 65_536, reserved: 1024, used: null },
    }),
    of(`${WEST}-7`, WEST, {
      state: 'requested',
      reason: 'AWS has no m7i.large in us-west-2a; m6i.large is asked for next, in 24 s',
      address: null,
      since: ago(2),
      cpu: { offered: 16, reserved: 0, used: null },
      mem: { offered: 65_536, reserved: 0, used: null },
    }),
  ];
}

function copyOf(copy: string, job: string, machine: string, view: Partial<CopyView> = {}): CopyView {
  const zone = machine.startsWith(WEST) ? WEST : FRANKFURT;
  const task = { ...runningTask(copy, job), startedAt: ago(700), version: 7, restarts: 0 };
  return {
    ...{ copy, job, zone, machine, state: 'ready', reason: 'running', version: 7, cpu: 0.5, mem: 64 },
    ...{ createdAt: ago(700), task },
    ...view,
  };
}

function webCopies(): CopyView[] {
  return Array.from({ length: 40 }, (_, i) => {
    const id = `web.${i + 1}`;
    if (i >= 30) return copyOf(id, 'web', LONG_MACHINE);
    if (i >= 24) {
      const reason = `exited with code 3, ${i - 22} times in a row; it will be started again in 300 s`;
      const task = { ...runningTask(id, 'web'), version: 8, restarts: i - 22, flapping: true, usage: null, pid: null };
      const phase = { phase: 'backoff', reason, nextStartAt: ago(-4), startedAt: null } as const;
      return copyOf(id, 'web', `${WEST}-1`, { state: 'failing', reason, version: 8, task: { ...task, ...phase } });
    }
    if (i >= 21)
      return copyOf(id, 'web', `${WEST}-6`, {
        state: 'deploying',
        reason: 'release 2026.11.8 is being unpacked: 120 of 400 MB',
        percent: 30,
        task: null,
      });
    return copyOf(id, 'web', i < 11 ? `${WEST}-5` : `${WEST}-1`);
  });
}

function longCopies(): CopyView[] {
  const task = runningTask(`${LONG_NAME}.1`, LONG_NAME);
  const limits = { ...task.limits, pids: 64 };
  return [
    copyOf(`${LONG_NAME}.1`, LONG_NAME, LONG_MACHINE, {
      reason: 'running, and found well by its health check 14 times in a row',
      task: {
        ...task,
        limits,
        usage: { cpu: 0.49, memBytes: 61 * MB, processes: 12, throttledSeconds: 812.4, readBytes: 0, writtenBytes: 1 },
        warnings: ['memory is at 95 % of its limit of 64 MB, for 4 min'],
        health: {
          state: 'unhealthy',
          sentence: 'GET http://127.0.0.1:8080/healthz answered 503: the queue is not reachable',
        },
      },
    }),
    copyOf(`${LONG_NAME}.2`, LONG_NAME, 'aws-eu-central-1a-2'),
    copyOf(`${LONG_NAME}.3`, LONG_NAME, LONG_MACHINE, { state: 'placed', reason: 'waits for web.31', task: null }),
  ];
}

/** Alerts, events, post-mortems and the past. */
function tell(api: FakeClusterApi): void {
  const brake =
    'half of the machines in aws-us-west-2a fell silent at once: nothing is replaced until somebody says so';
  api.attention = [
    `6 copies of "search index" wait: no machine of ${WEST} has room for 8 cores, and max_machines is 9`,
  ];
  api.alertViews = [
    { key: 'zone', level: 'error', sentence: brake, since: ago(4), resolvedAt: null },
    ...[2, 3, 4].map((number) => ({
      key: `machine/${number}`,
      level: 'error' as const,
      sentence: `${WEST}-${number} is lost: not heard for 3 min, and the provider says it was terminated`,
      machine: `${WEST}-${number}`,
      since: ago(4),
      resolvedAt: null,
    })),
    {
      key: 'rollout/web',
      level: 'error',
      sentence: `version 8 of "web" has failed: ${FAILURE}`,
      job: 'web',
      since: ago(11),
      resolvedAt: null,
    },
    {
      key: 'copy/long',
      level: 'warn',
      sentence: `${LONG_NAME}.1 is near its limit: memory is at 95 % of 64 MB`,
      job: LONG_NAME,
      copy: `${LONG_NAME}.1`,
      machine: LONG_MACHINE,
      since: ago(300),
      resolvedAt: null,
    },
  ];
  api.timeline = [
    { message: '"web" was changed to version 8', job: 'web', by: 'token deploy pipeline of the payments team' },
    ...[2, 3, 4].map((n) => ({ message: `${WEST}-${n} is lost`, machine: `${WEST}-${n}`, level: 'error' as const })),
    {
      message: `${LONG_NAME}.1 runs as pid 4711 (run 3)`,
      copy: `${LONG_NAME}.1`,
      job: LONG_NAME,
      machine: LONG_MACHINE,
    },
    { message: `version 8 of "web" has failed: ${FAILURE}`, job: 'web', level: 'error' as const },
  ].map((event, i) => ({ kind: 'told', level: 'info', seq: i + 1, at: ago(20 - i), ...event }));
  api.ends = [endOf(2, 'mem'), endOf(3, 'exit')];
  const points = 720;
  const wave = (phase: number): number[] =>
    Array.from({ length: points }, (_, i) => 0.3 + 0.2 * Math.sin(i / 40 + phase));
  const series = Object.fromEntries(
    [...MACHINE_SERIES, ...TASK_SERIES].map((name, i) => [
      name,
      wave(i).map((value, at) => (at > 300 && at < 360 ? null : /Bytes|Rate/.test(name) ? value * 90 * MB : value)),
    ]),
  );
  api.past = { of: 'machine', span: 'hour', from: ago(60), stepSeconds: 5, series };
}

function endOf(run: number, reason: 'exit' | 'mem'): RunEnd {
  const long = `${'x'.repeat(180)} GET /v1/settlements?from=2026-11-01&until=2026-11-30&account=00000000-0000-0000-0000-000000000000`;
  return {
    run,
    reason,
    sentence: reason === 'mem' ? 'used 65 MB of 64 MB and was ended' : 'exited with code 3 after 9 s',
    code: reason === 'mem' ? null : 3,
    signal: reason === 'mem' ? 'SIGKILL' : null,
    startedAt: ago(40),
    endedAt: ago(39),
    enforcer: 'cgroup2',
    memLimitBytes: 64 * MB,
    peakMemBytes: 64 * MB,
    cpuSeconds: 11.25,
    throttledSeconds: 3.5,
    oomKills: reason === 'mem' ? 1 : 0,
    restarts: run,
    lastLines: ['connecting to the queue', long, 'Error: cannot bind to port 8080, it is taken'],
  };
}
