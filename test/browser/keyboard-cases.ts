import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** More stops than any of the pages here has. */
const MOST_STOPS = 120;

/** What has the focus, how it can be seen, and where it stands in the document. */
const FOCUSED = `(() => {
  const at = document.activeElement;
  if (!at || at === document.body || at === document.documentElement) return null;
  const { left, top, right, bottom, width, height } = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  // Of what is small all of it, of what is large enough to see that it is there.
  const seen = (shown, whole) => whole > 0 && shown >= Math.min(whole, 40) - 1;
  return {
    what: (at.id || at.textContent.trim() || at.name || at.tagName).slice(0, 40),
    inView: seen(Math.min(right, innerWidth) - Math.max(left, 0), width) && seen(Math.min(bottom, innerHeight) - Math.max(top, 0), height),
    marked: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    place: [...document.querySelectorAll('*')].indexOf(at),
  };
})()`;

interface Stop {
  what: string;
  inView: boolean;
  marked: boolean;
  place: number;
}

/** The dashboard as one walks through it who has no mouse. */
export async function keyboardCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;
  const [copy] = await cluster.ready('web', 2);

  await t.test('each stop of the tabulator is in view, marked, and in the order of the page', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    for (const path of ['/', '/jobs/web', `/copies/${copy?.copy}`, `/machines/${copy?.machine}`, '/settings', '/new']) {
      await tab.goto(cluster.url + path, { waitUntil: 'load' });
      const stops = await walk(tab);
      t.ok(stops.length > 10 && stops.length < MOST_STOPS, `${path} has ${stops.length} stops`);
      const hidden = stops.filter(({ inView, marked }) => !inView || !marked);
      t.strictSame(hidden, [], `${path}: where one is can be seen`);
      const places = stops.map(({ place }) => place);
      t.strictSame(
        places,
        places.toSorted((a, b) => a - b),
        `${path}: from the top to the bottom`,
      );
    }
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('past the navigation, into the search, to a job, to a question, and back', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.keyboard.press('Tab');
    t.equal((await focused(tab))?.what, 'Skip to the content');
    await tab.keyboard.press('Enter');
    await tab.keyboard.press('Tab');
    t.equal(await tab.evaluate('document.activeElement.closest("main") !== null'), true, 'the navigation is skipped');
    await tab.keyboard.press('/');
    await tab.keyboard.type('web');
    await Promise.all([tab.waitForURL(/\/search\?q=web/), tab.keyboard.press('Enter')]);
    await tab.focus('main tbody th a:text-is("web")');
    await Promise.all([tab.waitForURL(/\/jobs\/web$/), tab.keyboard.press('Enter')]);
    await tabTo(tab, 'Stop…');
    await Promise.all([tab.waitForURL(/\/jobs\/web\/stop$/), tab.keyboard.press('Enter')]);
    t.equal((await focused(tab))?.what, 'Stop web?', 'a question is where one begins to read');
    await tab.keyboard.press('Tab');
    t.equal((await focused(tab))?.what, 'Stop the job');
    await tab.keyboard.press('Tab');
    await Promise.all([tab.waitForURL(/\/jobs\/web$/), tab.keyboard.press('Enter')]);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a change in place: unfold, write, see the plan; and what was done has the focus', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/web`);
    await tabTo(tab, 'Show and change it');
    await tab.keyboard.press('Enter');
    await tab.keyboard.press('Tab');
    t.equal((await focused(tab))?.what, 'text', 'the next stop is what was unfolded');
    await tab.keyboard.press('Tab');
    t.equal((await focused(tab))?.what, 'Show the plan', 'the text does not hold the keyboard');
    await Promise.all([tab.waitForNavigation(), tab.keyboard.press('Enter')]);
    t.match((await focused(tab))?.what, /^The plan/);
    await tab.goto(`${cluster.url}/copies/${copy?.copy}`);
    await tabTo(tab, 'Restart this copy');
    await Promise.all([tab.waitForNavigation(), tab.keyboard.press('Enter')]);
    t.match((await focused(tab))?.what, `${copy?.copy} is being restarted.`);
    await cluster.ready('web', 2);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('what has the focus keeps it while the page follows what happens', async (t) => {
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/web`);
    const link = `tr[id="copy-${copy?.copy}"] th a`;
    await tab.focus(link);
    await tab.evaluate('void (window.mine = document.activeElement)');
    const newest = await tab.getAttribute('.events li:not(.day)', 'id');
    t.equal((await cluster.fetch(`/api/v1/copies/${copy?.copy}/restart`, { method: 'POST' })).status, 200);
    await tab.waitForSelector(`.events .day + li:not([id="${newest}"])`);
    t.equal(await tab.evaluate('document.activeElement === window.mine && window.mine.isConnected'), true);
    await cluster.ready('web', 2);
    t.strictSame(complaints, []);
    await context.close();
  });
}

/** All stops from the top of the page to its end. */
async function walk(tab: Page): Promise<Stop[]> {
  const stops: Stop[] = [];
  while (stops.length < MOST_STOPS) {
    await tab.keyboard.press('Tab');
    const stop = await focused(tab);
    // After the last one comes the window itself, or the first one again.
    if (stop === null || stop.place === stops[0]?.place) break;
    stops.push(stop);
  }
  return stops;
}

async function tabTo(tab: Page, what: string): Promise<void> {
  for (let i = 0; i < MOST_STOPS; i++) {
    await tab.keyboard.press('Tab');
    if ((await focused(tab))?.what.startsWith(what)) return;
  }
  throw new Error(`no stop of the tabulator is "${what}"`);
}

async function focused(tab: Page): Promise<Stop | null> {
  return (await tab.evaluate(FOCUSED)) as Stop | null;
}
