import t from 'tap';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const web = (command: string, more = ''): string => `
task_configuration: {name: web, command: '${command}', cpu: .5, mem: 64, ensure_alive: true}
deployment_layout: {local-a: {count: 2}}
update: {min_healthy: 4, deadline: 20, max_parallel: 1}
${more}`;

interface VersionRow {
  version: number;
  outcome: string | null;
  sentence: string | null;
}

t.test('what people do with jobs and machines, on the embedded default', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  const told = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.cli(args);
    t.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const versions = (): Promise<VersionRow[]> => cluster.cliJson(['versions', 'web']);

  await t.test('a version that is everywhere and well is good', async (t) => {
    t.equal((await cluster.apply(web('exec sleep 1000'))).status, 200);
    await cluster.ready('web', 2);
    await eventually(async () => (await versions())[0]?.outcome === 'good', 'version 1 is good');
  });

  await t.test(
    'a version that cannot run is taken back, and an alert says so until something newer comes',
    async (t) => {
      const before = await cluster.ready('web', 2);
      await cluster.apply(web('exit 3'));
      await eventually(async () => (await versions())[0]?.outcome === 'failed', 'version 2 has failed');
      const copies = await cluster.ready('web', 2);
      t.same(
        copies.map((copy) => copy.version),
        [1, 1],
      );
      const untouched = copies.filter(({ task }) => before.some((old) => old.task?.pid === task?.pid));
      t.equal(untouched.length, 1, 'one copy tried it; the other never stopped');
      await eventually(async () => /version 2 of "web" has failed/.test(await told('alerts')), 'there is an alert');
      t.match(await told('versions', 'web'), /2 +failed/);
      await cluster.apply(web('exec sleep 2000'));
      await cluster.ready('web', 2);
      t.equal((await versions())[0]?.version, 3, 'no number is used twice');
      await eventually(async () => /no alerts/.test(await told('alerts')), 'the alert is over');
    },
  );

  await t.test('pause, resume, and back by hand', async (t) => {
    await eventually(async () => (await versions())[0]?.outcome === 'good', 'version 3 is good');
    t.match((await cluster.cli(['rollout', 'web', 'pause'])).stderr, /has no roll-out under way/);
    t.match(await told('rollback', 'web', '--to', '1'), /goes back to version 1/);
    // Not by a program of its own, which takes seconds to start on a busy host: the roll-out would be over.
    const pause = { method: 'POST', body: '{"action": "pause"}', headers: { 'content-type': 'application/json' } };
    t.equal((await cluster.fetch('/api/v1/jobs/web/rollout', pause)).status, 200);
    await cluster.ready('web', 2);
    const paused = await cluster.cliJson<{ rollout: { state: string } | null }[]>(['listjobs']);
    t.equal(paused[0]?.rollout?.state, 'paused');
    t.ok(
      (await cluster.copies()).some((copy) => copy.version === 3),
      'the rest waits',
    );
    t.match(await told('rollout', 'web', 'resume'), /goes on/);
    await eventually(async () => (await cluster.ready('web', 2)).every((copy) => copy.version === 1), 'it is back');
  });

  await t.test('scale, stop, start', async (t) => {
    await told('scale', 'web', '1');
    const [kept] = await cluster.ready('web', 1);
    await told('stop', 'web');
    await eventually(async () => (await cluster.copies()).length === 0, 'it has no copies');
    t.match((await cluster.cli(['listjobs'])).stdout, /web/);
    await told('start', 'web');
    const [again] = await cluster.ready('web', 1);
    t.not(again?.copy, kept?.copy, 'a copy id is not used twice');
  });

  await t.test('a run, by hand, of a job that is made to end', async (t) => {
    await cluster.apply(`
task_configuration: {name: report, command: 'echo done', cpu: .1, mem: 32, allow_exit: true}
deployment_layout: {local-a: {count: 2}}
schedule: '0 3 1 1 *'
`);
    t.match(await told('run', 'report'), /run 1 of "report" begins/);
    await eventually(async () => /1 +completed/.test(await told('runs', 'report')), 'the run is completed');
    t.match((await cluster.cli(['run', 'web'])).stderr, /is to run all the time/);
  });

  await t.test('what would be done is told, and nothing happens', async (t) => {
    const before = await cluster.copies();
    const [{ id = '' } = {}] = await cluster.machines();
    t.match(await told('plan', '--lost', id), /It would:\n.*order machine/s);
    t.match((await cluster.cli(['plan', '--lost', 'nobody'])).stderr, /there is no machine "nobody"/);
    t.same(
      (await cluster.copies()).map(({ copy, task }) => [copy, task?.pid]),
      before.map(({ copy, task }) => [copy, task?.pid]),
    );
  });

  await t.test('cordon, replace: the copies move to the new machine, then the old one goes', async (t) => {
    const [{ machine = '' } = {}] = await cluster.ready('web', 1);
    t.match(await told('cordon', machine), /gets no more copies/);
    t.match(await told('cordon', machine, '--off'), /may get copies again/);
    t.match(await told('replace', machine), /is ordered; when it is ready/);
    await eventually(async () => !(await cluster.machines()).some(({ id }) => id === machine), `${machine} is gone`);
    const [moved] = await cluster.ready('web', 1);
    t.not(moved?.machine, machine);
  });
});
