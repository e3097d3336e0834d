import type { Test } from 'tap';
import { eventually } from '../suites/eventually.ts';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** In the place of the browser's: `streams` are all that were opened; the test says what happens to them. */
const STREAMS_BY_HAND = `
window.streams = [];
window.EventSource = class extends EventTarget {
  constructor() {
    super();
    window.streams.push(this);
  }
  close() {}
};`;

/** What keeps a page up to date, when it breaks at a bad moment or comes too early. Needs the job `web`. */
export async function streamCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;

  await t.test('a stream that breaks while the page is being refreshed is opened again', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.addInitScript(STREAMS_BY_HAND);
    await tab.goto(`${cluster.url}/jobs`);
    const opened = async (): Promise<unknown> => tab.evaluate('streams.length');
    await eventually(async () => (await opened()) === 1, 'the page follows');
    // The change makes a second round, which is under way when the broken stream is due to be opened again.
    await tab.evaluate("for (const type of ['open', 'change', 'error']) streams[0].dispatchEvent(new Event(type))");
    await eventually(async () => (await opened()) === 2, 'it follows again');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a live log that is opened before its machine knows the task begins by itself', async (t) => {
    const [copy] = await cluster.ready('web', 2);
    const { context, tab, complaints } = await dashboard.window();
    const answers = [404, 429];
    await tab.route(/\/logs\/.*stream=both/, async (route) => {
      const status = answers.shift();
      if (status === undefined) return route.continue();
      return route.fulfill({ status, json: { error: { code: 'x', message: `it is too early (${status})` } } });
    });
    await tab.goto(`${cluster.url}/copies/${copy?.copy}`);
    await tab.waitForSelector('.state:has-text("it is too early (404); trying again")');
    await tab.waitForSelector('.row >> text=served');
    t.strictSame(answers, []);
    t.equal(await tab.textContent('.state'), '');
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a live log that was asked for wrongly is not asked for again', async (t) => {
    const [copy] = await cluster.ready('web', 2);
    const { context, tab } = await dashboard.window();
    let asked = 0;
    await tab.route(/\/logs\/.*stream=both/, async (route) => {
      asked += 1;
      return route.fulfill({ status: 400, json: { error: { code: 'invalid', message: 'no such stream' } } });
    });
    await tab.goto(`${cluster.url}/copies/${copy?.copy}`);
    await tab.waitForSelector('.state:has-text("no such stream.")');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    t.equal(asked, 1);
    await context.close();
  });
}
