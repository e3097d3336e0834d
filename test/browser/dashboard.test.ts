import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { jobActionCases, machineActionCases } from './action-cases.ts';
import { barriers, Chromium, fits, LOOKS } from './chromium.ts';
import { DashboardInBrowser, SCRIPT_JOB } from './dashboard-in-browser.ts';
import { editCases } from './edit-cases.ts';
import { keyboardCases } from './keyboard-cases.ts';
import { logCases } from './log-cases.ts';
import { settingsCases } from './settings-cases.ts';
import { streamCases } from './stream-cases.ts';

t.test('the dashboard of a real cluster in a real browser', async (t) => {
  if (Chromium.missing(t)) return;
  const dashboard = new DashboardInBrowser();
  const { cluster } = dashboard;
  t.teardown(() => dashboard.stop());
  await dashboard.start();
  const [first] = await cluster.ready('web', 2);
  const [machine] = (await cluster.machines()).filter(({ copies }) => copies.some(({ job }) => job === 'web'));
  if (!first || !machine) throw new Error('web runs');
  const odd = encodeURIComponent(SCRIPT_JOB);
  const pages = [
    '/',
    '/new',
    '/jobs',
    '/jobs/web',
    `/jobs/${odd}`,
    `/jobs/${encodeURIComponent('nightly report')}`,
    '/jobs/web/stop',
    '/jobs/web/remove',
    '/jobs/web/versions/1',
    '/jobs/web/charts',
    '/jobs/web/logs',
    `/copies/${first.copy}`,
    '/machines',
    `/machines/${machine.id}`,
    `/machines/${machine.id}/drain`,
    '/alerts',
    '/dns',
    '/events',
    '/settings',
    '/settings/plugins',
    '/settings/tokens',
    `/copies/${first.copy}/logs`,
    `/machines/${machine.id}/replace`,
    '/jobs/web/scale?zone=local-a&count=3',
    '/search?q=web',
  ];

  await t.test('no barrier that axe finds, and nothing sticks out: light, and dark and narrow', async (t) => {
    // Side by side, since it is the browser that takes its time.
    const looks = [LOOKS.light, LOOKS.narrow].map(async (options) => {
      const { context, tab, complaints } = await dashboard.window({ ...options, bypassCSP: true });
      for (const path of pages) {
        const where = `${path}, ${options.viewport.width} px`;
        const answer = await tab.goto(cluster.url + path, { waitUntil: 'load' });
        t.equal(answer?.status(), 200, where);
        t.equal(await fits(tab), true, `${where}: it fits`);
        t.strictSame(await barriers(tab), [], where);
      }
      t.strictSame(complaints, []);
      await context.close();
    });
    await Promise.all(looks);
  });

  await t.test('without JavaScript everything can be read, searched and done', async (t) => {
    const { context, tab } = await dashboard.window({ javaScriptEnabled: false });
    t.match(await tab.textContent('main'), SCRIPT_JOB, 'a name is text, whatever is in it');
    t.equal(await tab.locator('main script').count(), 0);
    await tab.fill('#search', 'web');
    await tab.press('#search', 'Enter');
    await tab.click('main tbody th a:text-is("web")');
    await tab.fill('#count-local-a', '3');
    await tab.click('text=Scale…');
    t.match(await tab.textContent('.plan'), /start web\.\d+ on /, 'what it would do stands there first');
    await tab.click('text="Scale to 3"');
    t.match(await tab.textContent('.notice'), '"web" is to have 3 copies in local-a');
    await cluster.ready('web', 3);
    await tab.goto(`${cluster.url}/copies/${first.copy}`);
    await tab.click('text=as text');
    t.match(await tab.textContent('body'), /request 1 <i>as text<\/i>/);
    await context.close();
  });

  await t.test('an open page follows, and leaves alone what somebody is typing', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/web`);
    await tab.keyboard.press('/');
    t.equal(await tab.evaluate('document.activeElement.id'), 'search', '/ leads to the search field');
    await tab.fill('#count-local-a', '9');
    await tab.focus('#count-local-a');
    const scale = { method: 'POST', body: '{"count":2}', headers: { 'content-type': 'application/json' } };
    t.equal((await cluster.fetch('/api/v1/jobs/web/scale', scale)).status, 200);
    await tab.waitForSelector('#layout-local-a >> text=2 of 2 wanted');
    t.equal(await tab.inputValue('#count-local-a'), '9');
    t.equal(await tab.evaluate('document.activeElement.id'), 'count-local-a', 'the focus stays');
    await tab.goto(`${cluster.url}/copies/${first.copy}`);
    await tab.waitForSelector('.row >> text=served');
    await tab.evaluate('document.querySelector(".row").id = "kept"');
    t.equal((await cluster.fetch(`/api/v1/copies/${first.copy}/restart`, { method: 'POST' })).status, 200);
    await tab.waitForSelector('#run-1', { state: 'attached' });
    t.equal(await tab.locator('#kept').count(), 1, 'the log beside it goes on');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('an update in place: the plan, the roll-out, the difference, and the way back', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/web`);
    await tab.click('summary:has-text("Show and change it")');
    const text = await tab.inputValue('#text');
    await tab.fill('#text', text.replace('sleep 1;', 'sleep 2;').replace('mem: 64', 'mme: 64'));
    await tab.click('text="Show the plan"');
    t.match(await tab.textContent('#problems'), /line \d+: .*mme/, 'what is wrong stands beside the text');
    await tab.fill('#text', text.replace('sleep 1;', 'sleep 2;'));
    await tab.click('text="Show the plan"');
    t.match(await tab.textContent('.plan'), /restart web\.\d+ with version 2/);
    await tab.click('text="Apply"');
    await tab.waitForSelector('#rollout');
    await tab.click('.panel >> text="Pause"');
    await tab.waitForSelector('.panel >> text=paused');
    await tab.click('.panel >> text="Resume"');
    await tab.waitForSelector('#version-2 >> text=good');
    await tab.click('#version-1 th a');
    t.match(await tab.textContent('.diff .removed'), 'sleep 2;');
    t.match(await tab.textContent('.diff .added'), 'sleep 1;');
    await tab.click('button:has-text("Go back to version 1")');
    await tab.waitForSelector('.lead:has-text("version 1,")');
    await eventually(async () => (await cluster.ready('web', 2)).every(({ version }) => version === 1), 'it is back');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('logs', (t) => logCases(t, dashboard));
  await t.test('streams that break or come too early', (t) => streamCases(t, dashboard));
  await t.test('settings, plugins and tokens', (t) => settingsCases(t, dashboard));
  await t.test('a job that two people change at once', (t) => editCases(t, dashboard));
  await t.test('without a mouse', (t) => keyboardCases(t, dashboard));
  await t.test('what is done to jobs and copies', (t) => jobActionCases(t, dashboard));
  await t.test('what is done to machines', (t) => machineActionCases(t, dashboard));

  await t.test('a run, and a stop that is asked first', async (t) => {
    const { context, tab } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/${encodeURIComponent('nightly report')}`);
    await tab.click('text="Run it now"');
    await tab.waitForSelector('#run-1 >> text=completed');
    const [copy] = await cluster.ready(SCRIPT_JOB, 1);
    const other = await context.newPage();
    other.setDefaultTimeout(120_000);
    await other.goto(`${cluster.url}/copies/${copy?.copy}`);
    await tab.goto(`${cluster.url}/jobs/${odd}`);
    await tab.click('a:has-text("Stop…")');
    t.match(await tab.textContent('.plan'), /stop script/);
    await tab.click('text="Stop the job"');
    await tab.waitForSelector('.lead:has-text("stopped")');
    await eventually(async () => (await cluster.copies()).every(({ job }) => job !== SCRIPT_JOB), 'it is stopped');
    await other.bringToFront();
    await other.waitForSelector('text=It is no longer there.');
    t.match(await tab.textContent('main'), SCRIPT_JOB);
    await context.close();
  });

  await t.test('a cluster sitter that restarts under an open page is told of, and the page comes back', async (t) => {
    const { context, tab } = await dashboard.window();
    await tab.waitForSelector('#recent');
    await cluster.end('SIGKILL');
    await tab.waitForSelector('#connection:has-text("Connection lost")');
    await cluster.up();
    await eventually(async () => (await tab.textContent('#connection')) === '', 'it comes back by itself');
    t.match(await tab.textContent('main'), 'web');
    await context.clearCookies();
    const change = { method: 'PUT', body: '{"limit":3}', headers: { 'content-type': 'application/json' } };
    t.equal((await cluster.fetch('/api/v1/settings/idle-limit', change)).status, 200);
    await tab.waitForURL(`${cluster.url}/signin`);
    await context.close();
  });
});
