import t from 'tap';
import { RecipeRunner } from '../../core/cluster/copies/recipe-runner.ts';
import { Intake } from '../../core/cluster/orders/intake.ts';
import { applyPlan } from '../../core/cluster/records/apply-plan.ts';
import { ClusterRecords } from '../../core/cluster/records/cluster-records.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

t.test(
  'a job that is removed and comes back goes on counting its copies: no old command can mean a new one',
  async (t) => {
    const clock = new SystemClock();
    const records = new ClusterRecords(new MemoryStore(), clock);
    await records.load();
    t.teardown(() => records.close());
    const tell = async (): Promise<void> => undefined;
    const recipes = new RecipeRunner({ loaders: [], deadlineMs: 1000, clock, logger: silentLogger, tell });
    const types = () => [{ name: 'one', cpu: 1, mem: 1000 }];
    const secrets = { missing: () => [], newest: () => undefined };
    const intake = new Intake({ records, recipes, providers: ['fake'], dnsScope: 'region', types, secrets });
    const text = 'task_configuration: {name: Web Site, command: x}\ndeployment_layout: {fake-a: {count: 1}}';
    const specs = await intake.read(text, 'test.yaml');

    await intake.apply(specs, 'a test', 1);
    const job = records.jobs.get('Web Site');
    t.equal(job?.nextSerial, 1);
    const place = { kind: 'place-copy' as const, copy: 'web-site.1', job: 'Web Site', version: 1, zone: 'fake-a' };
    const rest = { machine: 'fake-a-1', cpu: 1, mem: 128, run: null, linked: {}, reason: 'a test' };
    const forget = { kind: 'forget-job' as const, job: 'Web Site', reason: 'a test' };
    for (const action of [{ ...place, ...rest }, forget])
      await records.transact(() => applyPlan({ actions: [action], complaints: [], wakeAt: null }, records, 2));
    t.equal(records.jobs.size, 0);

    await intake.apply(specs, 'a test', 3);
    t.equal(records.jobs.get('Web Site')?.nextSerial, 2);
  },
);
