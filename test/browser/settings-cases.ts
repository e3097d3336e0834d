import type { Test } from 'tap';
import { barriers } from './chromium.ts';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** The pages about the cluster sitter itself. */
export async function settingsCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;

  await t.test('settings with where they came from; idle limit and log level are changed in place', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/settings`);
    t.match(await tab.textContent('#setting-data_dir'), /data.*the command line/s);
    t.match(await tab.textContent('#setting-dns_ttl'), '30', 'what nobody has set is there, too');
    await tab.fill('#limit', '2');
    await tab.selectOption('#zone', 'local-b');
    await tab.click('text="Change the limit"');
    t.match(await tab.textContent('.notice'), 'The idle limit of local-b was changed.');
    t.match(await tab.textContent('#setting-max_idle_per_zone'), /"local-b":2.*changed at run time/s);
    await tab.selectOption('#level', 'debug');
    await tab.click('text="Set the level"');
    t.match(await tab.textContent('#setting-log_level'), /"debug".*changed at run time/s);
    await tab.goto(`${cluster.url}/events?q=level`);
    t.match(await tab.textContent('.events'), /the log level is debug\s+by browser/, 'the timeline says who did it');
    t.equal((await cluster.cli(['updateloglevel', 'info'])).code, 0);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('plugins say how they do', async (t) => {
    const { context, tab } = await dashboard.window();
    await tab.goto(`${cluster.url}/settings`);
    await tab.click('.tabs >> text="Plugins"');
    await tab.waitForSelector('#plugin-provider-local >> text=works');
    t.match(await tab.textContent('#plugin-provider-local'), /ago.*(describe|create)/s);
    t.match(await tab.textContent('#plugin-store-lmdb'), 'running');
    await context.close();
  });

  await t.test('a token: made, shown once, used, revoked', async (t) => {
    const { context, tab, complaints } = await dashboard.window({ bypassCSP: true });
    await tab.goto(`${cluster.url}/settings/tokens`);
    t.match(await tab.textContent('main'), 'None was made yet');
    await tab.fill('#name', 'screen in the hall');
    await tab.selectOption('#scope', 'read');
    await tab.fill('#days', '30');
    await tab.click('text="Make it"');
    const token = (await tab.textContent('.secret')) ?? '';
    t.match(token, /^cerebro_[\w-]{43}$/);
    t.strictSame(await barriers(tab), []);
    await tab.goto(`${cluster.url}/settings/tokens`);
    t.notMatch(await tab.content(), token.slice(8), 'it is not shown again');
    t.match(await tab.textContent('tbody'), /screen in the hall.*read.*never/s);

    const other = await dashboard.window({ bypassCSP: true }, token);
    await other.tab.goto(`${cluster.url}/jobs/web`);
    t.match(await other.tab.textContent('.top'), 'screen in the hall (browser), may read');
    t.equal(await other.tab.isVisible('text="Stop…"'), false, 'what it may not is not offered');
    t.equal(await other.tab.isVisible('text="Live logs"'), true);
    t.strictSame(await barriers(other.tab), []);
    const asked = await fetch(`${cluster.url}/api/v1/jobs/web/restart`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    t.equal(asked.status, 403);
    t.match(await asked.text(), 'this needs a token of scope operate');

    await tab.reload();
    t.notMatch(await tab.textContent('tbody'), 'never', 'the last use is there');
    await tab.click('tbody >> text="Revoke…"');
    t.match(await tab.textContent('main'), 'could no longer look at everything');
    await tab.click('text="Revoke the token"');
    t.match(await tab.textContent('.notice'), 'is revoked');
    // Its page hears of the change, and finds that it may not look any more.
    await other.tab.bringToFront();
    await other.tab.goto(`${cluster.url}/jobs`);
    t.equal(new URL(other.tab.url()).pathname, '/signin');
    await tab.goto(`${cluster.url}/events?q=token`);
    t.match(await tab.textContent('.events'), /token "screen in the hall" is revoked\s+by browser/);
    t.strictSame([...complaints, ...other.complaints], []);
    await other.context.close();
    await context.close();
  });

  await t.test('the same on the command line', async (t) => {
    const made = await cluster.cli(['token', 'create', 'pipeline', '--scope', 'operate']);
    t.equal(made.code, 0);
    t.match(made.stdout, /^cerebro_[\w-]{43}\n$/, 'alone on standard output');
    const env = { ...cluster.env, CEREBRO_TOKEN: made.stdout.trim(), CEREBRO_URL: cluster.url };
    Object.assign(cluster.env, env);
    try {
      t.equal((await cluster.cli(['restart', 'web'])).code, 0);
      const refused = await cluster.cli(['token', 'list']);
      t.equal(refused.code, 1);
      t.match(refused.stderr, 'this needs a token of scope admin; that of token pipeline is of scope operate');
    } finally {
      delete cluster.env.CEREBRO_TOKEN;
      delete cluster.env.CEREBRO_URL;
    }
    t.match((await cluster.cli(['token', 'list'])).stdout, /pipeline +\w+ +operate/);
    t.match((await cluster.cli(['token', 'revoke', 'pipeline'])).stdout, 'token "pipeline" is revoked');
    t.match((await cluster.cli(['token', 'revoke', 'pipeline'])).stderr, 'there is no token "pipeline"');
    t.equal((await cluster.cli(['token', 'create', 'x', '--scope', 'all'])).code, 2);
    const done = (await cluster.events()).filter(({ by }) => by === 'token pipeline');
    t.ok(
      done.some(({ job }) => job === 'web'),
      'the restart is on the timeline under its name',
    );
  });
}
