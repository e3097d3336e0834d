import type {
  ApplyResult,
  ClusterApi,
  ClusterStatus,
  CopyView,
  EventQuery,
  Explanation,
  Forecast,
  JobView,
  MachineView,
  PluginView,
  RollOutAction,
} from '../../core/contracts/cluster-api.ts';
import { settingViews } from '../../core/decide/setting-views.ts';
import { CerebroError } from '../../core/errors.ts';
import type { AlertView } from '../../core/model/alert.ts';
import type { DnsView } from '../../core/model/dns.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import type { History, HistorySpan } from '../../core/model/history.ts';
import { type JobRecord, type JobRun, type JobVersion, jobSpec } from '../../core/model/job.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { SettingView } from '../../core/model/setting-view.ts';
import { settings } from '../../core/model/settings.ts';
import type { RunEnd, TaskStatus } from '../../core/model/task.ts';
import type { WorkCounts } from '../../core/model/work-counts.ts';
import { FakeTokens } from './fake-tokens.ts';
import { PLAIN_JOB } from './plain-records.ts';

const AT = '2026-01-02T03:04:05.000Z';

/** A cluster that does nothing: what it shows is set by a test, and what was asked of it is in `calls`, one sentence each. */
export class FakeClusterApi implements ClusterApi {
  readonly calls: string[] = [];
  jobViews: (JobView & { record: JobRecord })[] = [];
  machineViews: MachineView[] = [];
  copyViews: CopyView[] = [];
  timeline: ClusterEvent[] = [];
  attention: string[] = [];
  alertViews: AlertView[] = [];
  ends: RunEnd[] = [];
  dnsView: DnsView = { providers: [], names: [], aliases: [], attention: [], checkedAt: null };
  /** What `apply` throws, and what `postMortems` throws. */
  applyError: CerebroError | null = null;
  endsError: CerebroError | null = null;
  historyError: CerebroError | null = null;
  past: History = { of: 'machine', span: 'hour', from: AT, stepSeconds: 5, series: {} };
  result: Omit<ApplyResult, 'dryRun'> = { changes: [], plan: [], price: null };
  /** What plans were asked for, and what asking throws. */
  readonly planned: { text: string; drained: string[] }[] = [];
  planError: CerebroError | null = null;
  versionList: JobVersion[] | null = null;
  pluginViews: PluginView[] = [
    { id: 'ui-dashboard', point: 'ui', use: './plugins/ui-dashboard', state: 'running', calls: null, says: [] },
  ];
  readonly tokens = new FakeTokens(this.calls);
  readonly #listeners = new Set<() => void>();

  /** Tells whoever listens that something changed. */
  change(): void {
    for (const listener of this.#listeners) listener();
  }

  status(): ClusterStatus {
    return {
      clusterId: 'cluster-1',
      version: '1.2.3',
      startedAt: AT,
      epoch: 7,
      leads: true,
      leader: null,
      jobs: this.jobViews.length,
      machines: this.machineViews.length,
      copies: {},
      maxIdlePerZone: { '*': 1 },
      attention: this.attention,
    };
  }

  jobs(): JobView[] {
    return [...this.jobViews];
  }

  job(name: string): JobView & { record: JobRecord } {
    return found(
      'job',
      name,
      this.jobViews.find((job) => job.name === name),
    );
  }

  machines(): MachineView[] {
    return [...this.machineViews];
  }

  machine(id: string): MachineView {
    return found(
      'machine',
      id,
      this.machineViews.find((machine) => machine.id === id),
    );
  }

  copies(filter: { job?: string; machine?: string } = {}): CopyView[] {
    return this.copyViews.filter(
      (copy) =>
        (filter.job === undefined || copy.job === filter.job) &&
        (filter.machine === undefined || copy.machine === filter.machine),
    );
  }

  copy(id: string): CopyView {
    return found(
      'copy',
      id,
      this.copyViews.find((copy) => copy.copy === id),
    );
  }

  async postMortems(copy: string): Promise<RunEnd[]> {
    this.copy(copy);
    if (this.endsError) throw this.endsError;
    return [...this.ends];
  }

  async history(of: { machine: string } | { copy: string }, span: HistorySpan): Promise<History> {
    if (this.historyError) throw this.historyError;
    this.calls.push(`history of ${'machine' in of ? of.machine : of.copy} over the ${span}`);
    return this.past;
  }

  work(): WorkCounts {
    return { passes: { done: 3, failed: 1 }, effects: new Map([['deploy-copy', { done: 2, failed: 0 }]]), events: 2 };
  }

  async events({ limit = 100, job, machine, copy }: EventQuery): Promise<ClusterEvent[]> {
    return this.timeline
      .filter(
        (event) =>
          (job === undefined || event.job === job) &&
          (machine === undefined || event.machine === machine) &&
          (copy === undefined || event.copy === copy),
      )
      .slice(-limit);
  }

  async explain(about: string): Promise<Explanation> {
    return { about, sentences: [`this is why ${about} is so`], timeline: [] };
  }

  plugins(): PluginView[] {
    return this.pluginViews;
  }

  settings(): SettingView[] {
    return settingViews(settings.parse({ log_level: 'debug' }), {
      file: 'cerebro.yaml',
      inFile: ['log_level'],
      inFlags: [],
    });
  }

  dns(): DnsView {
    return this.dnsView;
  }

  async checkDns(): Promise<DnsView> {
    this.calls.push('check dns');
    return this.dnsView;
  }

  async apply(text: string, options: { source: string; dryRun: boolean; by: string }): Promise<ApplyResult> {
    this.calls.push(`${options.dryRun ? 'plan' : 'apply'} by ${options.by}: ${text}`);
    if (this.applyError) throw this.applyError;
    return { dryRun: options.dryRun, ...this.result };
  }

  async removeJob(name: string, by: string): Promise<void> {
    this.calls.push(`remove ${name} by ${by}`);
  }

  async restartCopies(filter: { job?: string; copy?: string }, by: string): Promise<string[]> {
    this.calls.push(`restart ${filter.job ?? filter.copy} by ${by}`);
    return this.copies(filter.job === undefined ? {} : { job: filter.job }).map((copy) => copy.copy);
  }

  async drainMachine(id: string, by: string, deadlineSeconds?: number): Promise<void> {
    const within = deadlineSeconds === undefined ? '' : ` within ${deadlineSeconds} s`;
    this.calls.push(`drain ${id}${within} by ${by}`);
  }

  async login(what: string): Promise<MachineLogin> {
    this.calls.push(`login ${what}`);
    return { kind: 'folder', machine: what, folder: '/' };
  }

  async providerAction(machine: string, action: string, by: string): Promise<string> {
    this.calls.push(`${action} ${machine} by ${by}`);
    return 'done';
  }

  async setIdleLimit(limit: number, zone: string | null, by: string): Promise<void> {
    this.calls.push(`idle limit ${limit} in ${zone ?? 'each zone'} by ${by}`);
  }

  async plan({ text, drained }: { text: string; drained: string[] }): Promise<Forecast> {
    this.planned.push({ text, drained });
    if (this.planError) throw this.planError;
    return { plan: this.result.plan, price: this.result.price };
  }

  alerts(): AlertView[] {
    return this.alertViews;
  }

  async stopJob(name: string, by: string): Promise<void> {
    this.calls.push(`stop "${name}" by ${by}`);
  }

  async startJob(name: string, by: string): Promise<void> {
    this.calls.push(`start "${name}" by ${by}`);
  }

  async scaleJob(name: string, zone: string | null, count: number, by: string): Promise<void> {
    this.calls.push(`scale "${name}" to ${count} in ${zone} by ${by}`);
  }

  versions(name: string): JobVersion[] {
    const { record } = this.job(name);
    if (this.versionList) return this.versionList;
    const { version, spec, createdAt } = record;
    return [{ job: name, version, spec, createdAt, by: 'browser', outcome: 'good', sentence: null }];
  }

  async rollBack(name: string, to: number | null, by: string): Promise<number> {
    this.calls.push(`roll back "${name}" to ${to} by ${by}`);
    return to ?? 1;
  }

  async rollOut(name: string, action: RollOutAction, by: string): Promise<void> {
    this.calls.push(`${action} "${name}" by ${by}`);
  }

  async runJob(name: string, by: string): Promise<JobRun> {
    this.calls.push(`run "${name}" by ${by}`);
    return {
      id: 1,
      due: null,
      by,
      version: 1,
      state: 'running',
      startedAt: Date.parse(AT),
      endedAt: null,
      sentence: `asked for by ${by}`,
    };
  }

  async stopRun(name: string, run: number | null, by: string): Promise<number> {
    this.calls.push(`stop run ${run} of "${name}" by ${by}`);
    return run ?? 1;
  }

  async cordonMachine(id: string, cordoned: boolean, by: string): Promise<void> {
    this.calls.push(`${cordoned ? 'cordon' : 'uncordon'} ${id} by ${by}`);
  }

  async cancelDrain(id: string, by: string): Promise<void> {
    this.calls.push(`cancel drain of ${id} by ${by}`);
  }

  async replaceMachine(id: string, by: string): Promise<string> {
    this.calls.push(`replace ${id} by ${by}`);
    return `${id}-new`;
  }

  setLogLevel(level: string, by: string): void {
    this.calls.push(`log level ${level} by ${by}`);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A cluster with one job of one copy on one machine, under the names that are given. */
export function smallCluster(names: { job: string; slug: string; machine: string }): FakeClusterApi {
  const api = new FakeClusterApi();
  const { job, slug, machine } = names;
  const copy = `${slug}.1`;
  const spec = jobSpec.parse({
    task_configuration: { name: job, command: 'sleep 9', cpu: 0.5, mem: 64 },
    deployment_layout: { 'local-a': { count: 1 } },
  });
  const zones = { 'local-a': { wanted: 1, ready: 1, starting: 0, failing: 0 } };
  const record: JobRecord = {
    name: job,
    slug,
    version: 2,
    ...PLAIN_JOB,
    lastVersion: 2,
    goodVersion: 2,
    spec,
    nextSerial: 2,
    state: 'active',
    createdAt: AT,
    updatedAt: AT,
  };
  api.jobViews = [
    {
      name: job,
      version: 2,
      state: 'active',
      zones,
      stopped: false,
      rollout: null,
      goodVersion: 2,
      nextRun: null,
      lastRun: null,
      updatedAt: AT,
      linkedJob: null,
      record,
    },
  ];
  api.copyViews = [
    {
      copy,
      job,
      zone: 'local-a',
      machine,
      state: 'ready',
      reason: 'running',
      version: 2,
      cpu: 0.5,
      mem: 64,
      createdAt: AT,
      task: runningTask(copy, job),
    },
  ];
  api.machineViews = [
    {
      id: machine,
      zone: 'local-a',
      state: 'ready',
      reason: 'its machine sitter answers',
      address: '127.0.0.1',
      type: 'local.small',
      cordoned: false,
      cpu: { offered: 2, reserved: 0.5, used: 0.12 },
      mem: { offered: 2048, reserved: 64, used: 12 },
      since: AT,
      createdAt: AT,
      copies: [{ job, copy, state: 'ready', version: 2 }],
    },
  ];
  api.timeline = [
    { seq: 1, at: AT, kind: 'job-created', level: 'info', message: `"${job}" was created`, job, by: 'browser' },
    { seq: 2, at: AT, kind: 'task-started', level: 'info', message: `${copy} runs`, job, copy, machine },
  ];
  return api;
}

export function runningTask(copy: string, job: string): TaskStatus {
  return {
    id: copy,
    job,
    name: job,
    version: 2,
    generation: 0,
    phase: 'running',
    reason: 'running',
    since: AT,
    pid: 4711,
    run: 3,
    startedAt: AT,
    restarts: 2,
    flapping: false,
    nextStartAt: null,
    revision: 1,
    limits: {
      cpu: 0.5,
      memBytes: 64 * 1024 * 1024,
      pids: null,
      enforcer: 'proc',
      holds: { cpu: 'measured', mem: 'polled', pids: 'polled', io: 'none' },
    },
    usage: {
      cpu: 0.12,
      memBytes: 12 * 1024 * 1024,
      processes: 2,
      throttledSeconds: 0,
      readBytes: 0,
      writtenBytes: 4096,
    },
    warnings: [],
    health: null,
    logs: null,
    lastEnd: null,
  };
}

function found<T>(kind: string, name: string, thing: T | undefined): T {
  if (thing !== undefined) return thing;
  throw new CerebroError('not_found', `there is no ${kind} "${name}"`);
}
