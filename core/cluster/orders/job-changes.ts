import type { Clock } from '../../contracts/clock.ts';
import type { ApplyOptions, ApplyResult, Forecast } from '../../contracts/cluster-api.ts';
import type { JobSpec } from '../../model/job.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import type { DnsPublisher } from '../dns/dns-publisher.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import type { Intake } from './intake.ts';
import type { JobOrders } from './job-orders.ts';
import type { MachineOrders } from './machine-orders.ts';
import { previewPlan } from './plan-preview.ts';

export interface JobChangesDeps {
  records: ClusterRecords;
  intake: Intake;
  jobOrders: JobOrders;
  machineOrders: MachineOrders;
  dns: DnsPublisher;
  clock: Clock;
  snapshot(now: number): ClusterSnapshot;
  /** The records have changed: there is something to do. */
  onChange(): void;
}

/** Changes of what jobs are, and what would follow from them: the plan that people are shown before they agree to it. */
export class JobChanges {
  readonly #deps: JobChangesDeps;

  constructor(deps: JobChangesDeps) {
    this.#deps = deps;
  }

  /** Throws `invalid` with every problem of the file; then nothing of it was changed. */
  async apply(text: string, options: ApplyOptions): Promise<ApplyResult> {
    const { intake, clock, onChange } = this.#deps;
    const specs = await intake.read(text, options.source);
    const forecast = await this.#forecast(specs);
    const draft = intake.draft(specs, options.by, clock.now());
    if (options.dryRun) return { dryRun: true, changes: draft.changes, ...forecast };
    const changes = await intake.apply(specs, options.by, clock.now(), options.ifUpdatedAt);
    onChange();
    return { dryRun: false, changes, ...forecast };
  }

  /** What would be done if this job file (it may be empty) were applied, and these machines were lost, or drained. */
  async plan(wish: { text: string; source: string; lost: string[]; drained: string[] }): Promise<Forecast> {
    const { intake, machineOrders } = this.#deps;
    for (const id of [...wish.lost, ...wish.drained]) machineOrders.record(id);
    const specs = wish.text.trim() === '' ? [] : await intake.read(wish.text, wish.source);
    return this.#forecast(specs, wish.lost, wish.drained);
  }

  /** `zone` may be null where the job runs in one. */
  async scale(name: string, zone: string | null, count: number, by: string): Promise<void> {
    const { intake, jobOrders } = this.#deps;
    const job = jobOrders.record(name);
    const which = zone ?? Object.keys(job.spec.deployment_layout)[0] ?? '';
    const entry = { ...job.spec.deployment_layout[which], count };
    const spec = { ...job.spec, deployment_layout: { ...job.spec.deployment_layout, [which]: entry } };
    intake.check([spec]);
    await jobOrders.scale(name, zone, count, by);
  }

  async #forecast(
    specs: readonly JobSpec[],
    lost: readonly string[] = [],
    drained: readonly string[] = [],
  ): Promise<Forecast> {
    const { intake, records, dns, clock, snapshot } = this.#deps;
    const now = clock.now();
    const { jobs, versions } = intake.draft(specs, '', now);
    const wish = { jobs, versions, lost, drained };
    const { sentences, price } = previewPlan(snapshot(now), records.versions, wish);
    return { plan: [...sentences, ...(await dns.forecast(specs))], price };
  }
}
