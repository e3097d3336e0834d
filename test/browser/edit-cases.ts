import type { Test } from 'tap';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** Two people who change `web` at once, and one whose session ends meanwhile. */
export async function editCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;

  await t.test('the second is told, sees the plan against what is there now, and decides', async (t) => {
    const [one, two] = [await dashboard.window(), await dashboard.window()];
    const open = async ({ tab }: typeof one): Promise<string> => {
      await tab.goto(`${cluster.url}/jobs/web`);
      await tab.click('summary:has-text("Show and change it")');
      return tab.inputValue('#text');
    };
    const text = await open(one);
    await open(two);
    // Neither restarts anything: what is tested is who wins.
    await one.tab.fill('#text', text.replace('min_healthy: 1', 'min_healthy: 2'));
    await one.tab.click('text="Apply"');
    await one.tab.waitForSelector('.notice:has-text("nothing restarts for it")');
    const mine = text.replace('min_healthy: 1', 'min_healthy: 3');
    await two.tab.fill('#text', mine);
    await two.tab.click('text="Apply"');
    t.match(await two.tab.textContent('#problems'), 'Somebody else changed this job after you opened the form');
    t.equal(await two.tab.inputValue('#text'), mine, 'what was typed is kept');
    t.equal(
      (await cluster.get<{ record: { spec: { update: { min_healthy: number } } } }>('/api/v1/jobs/web')).record.spec
        .update.min_healthy,
      2,
    );
    await two.tab.click('text="Show the plan"');
    t.match(await two.tab.textContent('.plan'), '"web" is updated: nothing restarts for it.');
    await two.tab.click('text="Apply"');
    await two.tab.waitForSelector('.notice:has-text("was updated")');
    t.strictSame([...one.complaints, ...two.complaints], []);
    await one.context.close();
    await two.context.close();
  });

  await t.test('a form that is sent when the session has ended does nothing, and keeps what was typed', async (t) => {
    const { context, tab } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/web`);
    await tab.click('summary:has-text("Show and change it")');
    const text = `${await tab.inputValue('#text')}# mine\n`;
    await tab.fill('#text', text);
    await context.clearCookies();
    await tab.click('text="Apply"');
    t.match(await tab.textContent('.problem'), 'Your session has ended, so nothing was done.');
    t.match(await tab.inputValue('#typed'), '# mine');
    await tab.fill('#token', cluster.token);
    await tab.click('main button');
    await tab.waitForURL(`${cluster.url}/`);
    await context.close();
  });
}
