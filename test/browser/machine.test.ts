import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { type ConfigurationInput, definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';
import { barriers, Chromium, fits, LOOKS } from './chromium.ts';

const TICKER = 'trap "echo hung up" HUP; echo "<i>begin</i>"; while :; do sleep 0.2; done';

t.test('the pages of a machine sitter in a real browser', async (t) => {
  if (Chromium.missing(t)) return;
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-machine-browser-'));
  const browser = new Chromium();
  const daemon = await startDaemon(folder);
  const window = (options = {}): ReturnType<Chromium['window']> =>
    browser.window(daemon.url, daemon.adminToken, options);
  const { call, task, add } = callers(daemon);
  t.teardown(async () => {
    await browser.stop();
    for (const { id } of (await (await call('/api/v1/tasks')).json()) as TaskStatus[])
      await call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' });
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  });
  await Promise.all([browser.start(), add('ticker', { command: TICKER, mem: 1200 })]);
  await add('gone', { command: 'echo last words; exit 3', allow_exit: true });
  await eventually(async () => (await task('ticker')).usage !== null, 'it is measured');
  await eventually(async () => (await task('gone')).lastEnd !== null, 'the other one has ended');

  await t.test('no barrier that axe finds, and nothing sticks out', async (t) => {
    const pages = ['/', '/charts', '/charts?span=day', '/tasks/ticker', '/tasks/gone', '/tasks/ticker/log', '/events'];
    for (const [name, look] of Object.entries({ light: LOOKS.light, narrow: LOOKS.narrow })) {
      const { context, tab, complaints } = await window({ ...look, bypassCSP: true });
      for (const path of pages) {
        await tab.goto(daemon.url + path, { waitUntil: 'load' });
        t.equal(await fits(tab), true, `${path} fits, ${name}`);
        t.strictSame(await barriers(tab), [], `${path}, ${name}`);
      }
      t.strictSame(complaints, []);
      await context.close();
    }
  });

  await t.test('a signal, a restart, a stop and a start by its buttons, each seen on the page', async (t) => {
    const { context, tab, complaints } = await window();
    await tab.goto(daemon.url);
    await tab.click('tbody th >> text="ticker"');
    await tab.click('text="Stop"');
    t.equal((await task('ticker')).phase, 'running', 'without the box the browser sends nothing');
    await tab.check('input[name=confirm]');
    await tab.selectOption('#signal', 'SIGHUP');
    await tab.click('text="Send to all its processes"');
    await tab.waitForSelector('.notice:has-text("ticker was sent SIGHUP.")');
    await tab.click('main >> text=STDOUT');
    await tab.waitForSelector('pre.log:has-text("hung up")');
    t.equal(await tab.locator('pre.log i').count(), 0, 'what a task writes is never markup');
    await tab.click('h1 a');
    await tab.check('input[name=confirm]');
    await tab.click('text="Restart"');
    await tab.waitForSelector('.notice:has-text("ticker is being restarted.")');
    await tab.waitForSelector('#run-1', { state: 'attached' });
    t.match(await tab.textContent('#run-1'), /browser|restart/i, 'the post-mortem says why it ended');
    await tab.check('input[name=confirm]');
    await tab.click('text="Stop"');
    await tab.waitForSelector('.lead >> text=stopped');
    await tab.click('text="Start it"');
    await tab.waitForSelector('.lead >> text=running');
    t.match(await tab.textContent('.events'), /by browser/, 'the timeline says who did it');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('an open log goes on with the next run, and an open page with what happens', async (t) => {
    const { context, tab, complaints } = await window();
    await tab.goto(`${daemon.url}/tasks/ticker/log`);
    const other = await context.newPage();
    await other.goto(`${daemon.url}/tasks/gone`);
    t.match(await other.textContent('#run-1'), /last words/, 'the last lines of the run that ended');
    const restart = { method: 'POST', body: '{"action":"restart"}' };
    t.equal((await call('/api/v1/tasks/ticker/actions', restart)).status, 200);
    const begun = async (): Promise<number> => ((await tab.textContent('pre.log')) ?? '').split('begin').length - 1;
    await tab.bringToFront();
    await eventually(async () => (await begun()) > 1, 'the next run is on the page');
    await other.bringToFront();
    await call('/api/v1/tasks/gone/actions', { method: 'POST', body: '{"action":"start"}' });
    await other.waitForSelector('#run-2', { timeout: 90_000 });
    await call('/api/v1/tasks/gone', { method: 'DELETE' });
    await other.waitForSelector('text=there is no task "gone"', { timeout: 90_000 });
    t.strictSame(complaints, []);
    await context.close();
  });
});

async function startDaemon(folder: string): Promise<Daemon> {
  const daemon = await createDaemon({
    mode: 'machine',
    settings: readSettings(undefined, { data_dir: folder, enforcer: 'proc' }),
    pluginsFile: undefined,
    logFile: join(folder, 'log'),
    portFallback: true,
    onStopRequested: () => undefined,
  });
  await daemon.start();
  return daemon;
}

function callers(daemon: Daemon): {
  call(path: string, init?: RequestInit): Promise<Response>;
  task(id: string): Promise<TaskStatus>;
  add(id: string, configuration: ConfigurationInput): Promise<void>;
} {
  const headers = { authorization: `Bearer ${daemon.adminToken}`, 'content-type': 'application/json' };
  const call = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(daemon.url + path, { ...init, headers });
  return {
    call,
    task: async (id) => (await (await call(`/api/v1/tasks/${encodeURIComponent(id)}`)).json()) as TaskStatus,
    add: async (id, configuration) => {
      const body = JSON.stringify({ definition: definition(id, configuration), start: true });
      await call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'PUT', body });
    },
  };
}
