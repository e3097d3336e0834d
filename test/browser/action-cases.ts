import type { Test } from 'tap';
import { eventually } from '../suites/eventually.ts';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** A copy that only its first process of all is ever well: whatever waits for another one to be ready waits on. */
const STEADY = `
task_configuration:
  name: steady
  command: exec sleep 1000
  cpu: .1
  mem: 32
  ensure_alive: true
  health_check: { command: '[ "$CEREBRO_COPY" = steady.1 ]', interval: 1, start_period: 600 }
deployment_layout: { local-c: { count: 1 } }
update: { min_healthy: 0 }
`;
const MOVING = `
task_configuration: { name: moving, command: 'exec sleep 1000', cpu: .1, mem: 32, ensure_alive: true }
deployment_layout: { local-c: { count: 1 } }
update: { min_healthy: 0 }
`;
const slow = (seconds: number): string => `
task_configuration: { name: slow, command: 'exec sleep ${seconds}', cpu: .1, mem: 32, ensure_alive: true }
deployment_layout: { local-a: { count: 3 } }
update: { min_healthy: 600, deadline: 3600 }
`;

/** What people do by the buttons of the pages of jobs and copies. */
export async function jobActionCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;
  const pids = async (job: string, count: number): Promise<Map<string, number | null | undefined>> =>
    new Map((await cluster.ready(job, count)).map(({ copy, task }) => [copy, task?.pid]));

  await t.test('all copies are restarted in turn, and one by itself', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    const before = await pids('web', 2);
    const others = async (): Promise<string[]> =>
      [...(await pids('web', 2))].flatMap(([copy, pid]) => (pid === before.get(copy) ? [] : [copy]));
    await tab.goto(`${cluster.url}/jobs/web`);
    await tab.click('text="Restart all copies"');
    await tab.waitForSelector('.notice:has-text("2 copies of \\"web\\" are being restarted.")');
    await eventually(async () => (await others()).length === 2, 'both have new processes');
    const [copy = ''] = before.keys();
    const again = (await pids('web', 2)).get(copy);
    await tab.goto(`${cluster.url}/copies/${copy}`);
    await tab.click('text="Restart this copy"');
    await tab.waitForSelector(`.notice:has-text("${copy} is being restarted.")`);
    await eventually(async () => (await pids('web', 2)).get(copy) !== again, 'it has a new process');
    const told = (await cluster.events()).filter(({ by, message }) => by === 'browser' && /restart/.test(message));
    t.ok(told.length >= 2, 'the timeline has both, and who asked for them');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a roll-out is sent to all the rest at once', async (t) => {
    t.equal((await cluster.apply(slow(1000))).status, 200);
    await cluster.ready('slow', 3);
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/slow`);
    // The first version has nothing to wait for: it goes on until it was well for ten minutes.
    await tab.click('.panel >> text="All the rest at once"');
    await tab.waitForSelector('.notice:has-text("The roll-out goes to all the rest at once.")');
    t.equal((await cluster.apply(slow(2000))).status, 200);
    await tab.waitForSelector('#rollout:has-text("Roll-out to version 2")');
    t.ok((await cluster.copies()).filter(({ job, version }) => job === 'slow' && version === 2).length <= 1, 'by one');
    await tab.click('.panel >> text="All the rest at once"');
    await eventually(
      async () => (await cluster.ready('slow', 3)).every(({ version }) => version === 2),
      'all have version 2',
    );
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a job is removed only when the box is ticked, and its open page says that it is gone', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/slow`);
    await tab.click('text="Remove…"');
    t.match(await tab.textContent('.plan'), /stop slow\.\d+/, 'what it would do');
    await tab.click('text="Remove the job"');
    t.match(tab.url(), /\/jobs\/slow\/remove$/, 'the browser asks for the box');
    const other = await context.newPage();
    await other.goto(`${cluster.url}/jobs/slow`);
    await tab.check('input[name=confirm]');
    await tab.click('text="Remove the job"');
    await tab.waitForSelector('.notice:has-text("\\"slow\\" is being removed")');
    await other.bringToFront();
    await other.waitForSelector('text=It is no longer there.', { timeout: 120_000 });
    t.notOk((await cluster.copies()).some(({ job }) => job === 'slow'));
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test(
    'a job is written on the page, planned, applied, and all names are looked at; then one signs out',
    async (t) => {
      const { context, tab, complaints } = await dashboard.window();
      await tab.click('text="Add a job"');
      const written = await tab.inputValue('#text');
      await tab.fill('#text', written.replace('greeter', 'written here'));
      await tab.click('text="Show the plan"');
      t.match(await tab.textContent('.plan'), /"written here" is added.*start written-here\.1 on /s);
      await tab.click('text="Apply"');
      await tab.waitForSelector('.notice:has-text("\\"written here\\" was added.")');
      await cluster.ready('written here', 1);
      t.equal((await cluster.fetch('/api/v1/jobs/written%20here', { method: 'DELETE' })).status, 200);
      await tab.goto(`${cluster.url}/dns`);
      await tab.click('text="Look at all names now"');
      await tab.waitForSelector('.notice');
      await tab.click('text="Sign out"');
      await tab.waitForURL(`${cluster.url}/signin`);
      await tab.goto(`${cluster.url}/jobs`);
      t.equal(new URL(tab.url()).pathname, '/signin');
      t.strictSame(complaints, []);
      await context.close();
    },
  );

  await t.test('a job that is stopped is started again', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/worker`);
    await tab.click('a:has-text("Stop…")');
    await tab.click('text="Stop the job"');
    await tab.waitForSelector('.lead:has-text("stopped")');
    await tab.click('text="Start it"');
    await tab.waitForSelector('.notice:has-text("\\"worker\\" is being started.")');
    await tab.waitForSelector('.lead:has-text("failing")');
    t.match(await tab.textContent('.attention'), /exited with code 3/, 'and the page says why it fails again');
    t.strictSame(complaints, []);
    await context.close();
  });
}

/** What people do by the buttons of a machine's page, and what the page does when the machine goes. */
export async function machineActionCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;
  t.equal((await cluster.apply(STEADY)).status, 200);
  const [first] = await cluster.ready('steady', 1);
  const path = `${cluster.url}/machines/${first?.machine}`;

  await t.test('a cordon, and its end', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(path);
    await tab.click('text="Cordon: no more copies"');
    await tab.waitForSelector('.lead >> text=cordoned');
    await tab.click('text="Let it have copies again"');
    await tab.waitForSelector('text="Cordon: no more copies"');
    t.equal(await tab.isVisible('.lead >> text=cordoned'), false);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a drain: the plan, a second thought, and then to its end under an open page', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(path);
    await tab.click('text="Drain…"');
    t.match(await tab.textContent('.plan'), /steady/, 'what it would do');
    await tab.click('text="Leave it as it is"');
    await tab.click('text="Drain…"');
    await tab.click('text="Drain the machine"');
    await tab.waitForSelector('.lead >> text=draining');
    await tab.click('text="Cancel the drain"');
    await tab.waitForSelector('text="Drain…"');
    t.ok(
      (await cluster.copies()).some(({ copy, state }) => copy === first?.copy && state === 'ready'),
      'it stayed',
    );
    await tab.click('text="Drain…"');
    await tab.fill('#deadline', '1');
    await tab.click('text="Drain the machine"');
    await tab.waitForSelector('text=It is no longer there.');
    t.match(await tab.textContent('.events'), /is being drained|drain/i, 'and what is remembered of it');
    t.strictSame(complaints, [], 'no script stumbled');
    await context.close();
  });

  await t.test('a replacement, and a machine that is lost: the open page says what becomes of it', async (t) => {
    const steady = { method: 'DELETE' };
    t.equal((await cluster.fetch('/api/v1/jobs/steady', steady)).status, 200);
    t.equal((await cluster.apply(MOVING)).status, 200);
    const [before] = await cluster.ready('moving', 1);
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/machines/${before?.machine}`);
    await tab.click('text="Replace…"');
    t.match(await tab.textContent('main'), /A new local\.small would be ordered in local-c/);
    await tab.click('text="Replace the machine"');
    await tab.waitForSelector('.notice:has-text("is ordered; when it is ready")');
    await tab.waitForSelector('text=It is no longer there.');
    const [after] = await cluster.ready('moving', 1);
    t.not(after?.machine, before?.machine);
    await tab.goto(`${cluster.url}/machines/${after?.machine}`);
    t.equal((await cluster.cli(['local', 'crash', String(after?.machine)])).code, 0);
    await tab.waitForSelector('text=It is no longer there.');
    t.match(await tab.textContent('.events'), /lost/, 'and why');
    t.strictSame(complaints, [], 'no script stumbled');
    await context.close();
  });
}
