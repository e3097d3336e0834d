import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import { eventually } from '../suites/eventually.ts';
import { barriers } from './chromium.ts';
import type { DashboardInBrowser } from './dashboard-in-browser.ts';

/** More lines than a page keeps. */
const FLOOD = 130_000;
const KEPT = 100_000;
/** However many lines there are, only those near the view are in the document. */
const MOST_ROWS = 1500;

const ODD_LINES = [
  '<img src=x onerror=alert(1)>',
  '\\x1b[1;38;5;196mred\\x1b[0m \\x1b[38;2;0;0;255mblue\\x1b[39m plain \\x1b[48;5;1mno background',
  '\\x1b]8;;javascript:alert(1)\\x07link\\x1b]8;;\\x07 \\x1b]0;title',
  'cut \\x1b[31',
  'a\\u202eb\\u2066c\\x00d',
  'progress\\r100%',
];

/** The live logs of a cluster that runs `web` twice. */
export async function logCases(t: Test, dashboard: DashboardInBrowser): Promise<void> {
  const { cluster } = dashboard;

  await t.test('lines of several copies, colours, search, times, pause', async (t) => {
    const { context, tab, complaints } = await dashboard.window({ bypassCSP: true });
    await tab.goto(`${cluster.url}/jobs/web/logs`);
    const lines = async (): Promise<number> => Number(await tab.getAttribute('[data-logs]', 'data-lines'));
    await tab.waitForSelector('.row .a-green >> text=served');
    await tab.waitForSelector('.row.stderr >> text=slow');
    const names = '[...new Set([...document.querySelectorAll(".row .name")].map((e) => e.className))].length';
    t.equal(await tab.evaluate(names), 2, 'two copies, told apart');
    t.equal(await tab.locator('.row i').count(), 0, 'what a task writes is never markup');
    await tab.fill('[data-do=search]', 'slow');
    await tab.waitForSelector('.row.hit >> text=slow');
    await tab.press('[data-do=search]', 'Enter');
    await tab.waitForSelector('.row.hit.current >> text=slow');
    await tab.waitForSelector('.state:text-matches("Number [0-9]+ of [0-9]+")');
    t.strictSame(await barriers(tab), [], 'no barrier in what was found');
    await tab.check('[data-do=only]');
    const texts = '[...document.querySelectorAll(".row")].map((e) => e.textContent)';
    const fitting = async (): Promise<boolean> => {
      const shown = (await tab.evaluate(texts)) as string[];
      return shown.length > 0 && shown.every((text) => text.includes('slow'));
    };
    await eventually(fitting, 'only lines that fit are shown');
    await tab.uncheck('[data-do=only]');
    await tab.fill('[data-do=search]', '');
    await tab.check('[data-do=times]');
    t.match(await tab.textContent('.row .at'), /^\d\d:\d\d:\d\d\.\d{3} $/, 'when it was written');
    const turns =
      '[...document.querySelectorAll(".row .name")].filter((e, i, all) => e.textContent !== all[i - 1]?.textContent).length';
    t.ok(Number(await tab.evaluate(turns)) > 2, 'lines of both stand between each other, by their times');
    await tab.click('[data-do=pause]');
    await tab.waitForSelector('.state:text-matches("Paused; [1-9][0-9]* new lines? wait")');
    const held = await lines();
    await tab.click('[data-do=pause]');
    await eventually(async () => (await lines()) > held, 'it goes on');
    const odd = ODD_LINES.map((line) => `'${line}'`).join(', ');
    const drawn = await tab.evaluate(`import('/assets/ansi.js').then(({ ansiNodes }) => [${odd}].map((line) => {
      const row = document.createElement('p');
      row.append(...ansiNodes(line));
      return row.innerHTML;
    }))`);
    t.strictSame(drawn, [
      '&lt;img src=x onerror=alert(1)&gt;',
      '<span class="a-red a-bold">red</span> <span class="a-blue">blue</span> plain no background',
      'link ',
      'cut [31',
      'abcd',
      'progress100%',
    ]);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a long line is wrapped or is not, and the log is downloaded whole', async (t) => {
    const wide = `task_configuration: {name: wide, command: 'printf "%0900d\\n" 7; exec sleep 1000', cpu: .1, mem: 64}
deployment_layout: {local-a: {count: 1}}`;
    t.equal((await cluster.apply(wide)).status, 200);
    const [copy] = await cluster.ready('wide', 1);
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/copies/${copy?.copy}/logs`);
    await tab.waitForSelector('.row:has-text("7")');
    const height = async (): Promise<number> => (await tab.locator('.row').first().boundingBox())?.height ?? 0;
    const overflows =
      "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('.loglines'))";
    const wrapped = await height();
    t.equal(await tab.evaluate(overflows), false, 'nothing sticks out');
    await tab.uncheck('[data-do=wrap]');
    t.ok((await height()) < wrapped / 2, 'one line');
    t.equal(await tab.evaluate(overflows), true, 'that can be scrolled along');
    const [download] = await Promise.all([tab.waitForEvent('download'), tab.click('main >> text=download')]);
    t.match(download.suggestedFilename(), /^wide\.\d+\.1\.both\.log$/);
    t.equal(readFileSync(await download.path(), 'utf8'), `${'7'.padStart(900, '0')}\n`);
    t.equal((await cluster.fetch('/api/v1/jobs/wide', { method: 'DELETE' })).status, 200);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a hundred thousand lines: all can be scrolled to and searched, few are in the document', async (t) => {
    const flood = `task_configuration: {name: flood, command: 'seq ${FLOOD}; exec sleep 1000', cpu: .1, mem: 64}
deployment_layout: {local-a: {count: 1}}`;
    t.equal((await cluster.apply(flood)).status, 200);
    await cluster.ready('flood', 1);
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/flood/logs?since=1h`);
    await eventually(async () => (await lastRow(tab)) === String(FLOOD), 'the last line is there');
    const kept = Number(await tab.getAttribute('[data-logs]', 'data-lines'));
    t.ok(kept > KEPT - 200 && kept <= KEPT, `${kept} lines are kept`);
    t.match(await tab.textContent('.state'), 'the newest 100,000 are kept');
    await eventually(async () => (await fromEnd(tab)) < 40, 'the end is in view');
    await tab.evaluate(WATCH_LONG_TASKS);
    for (const share of [0, 0.5, 0.123, 1, 0.77, 0.5]) {
      await tab.evaluate(
        `(() => { const box = document.querySelector('.loglines'); box.scrollTop = ${share} * box.scrollHeight; })()`,
      );
      await rowsFillTheView(tab);
      const rows = await tab.locator('.row').count();
      t.ok(rows > 10 && rows <= MOST_ROWS, `${rows} rows are in the document at ${share}`);
    }
    await tab.mouse.move(600, 500);
    for (let i = 0; i < 60; i++) await tab.mouse.wheel(0, i % 2 === 0 ? 4000 : -3000);
    await rowsFillTheView(tab);
    t.comment(`long tasks while it was scrolled, in ms: ${JSON.stringify(await tab.evaluate('longTasks'))}`);
    await tab.fill('[data-do=search]', '77777');
    await tab.waitForSelector('.state:has-text("1 line has it.")');
    await tab.press('[data-do=search]', 'Enter');
    const current = async (): Promise<unknown> =>
      tab.evaluate("document.querySelector('.row.current')?.lastChild.textContent");
    await eventually(async () => (await current()) === '77777', 'it is found');
    t.equal(await inView(tab, '.row.current'), true, 'it is brought into view');
    await tab.uncheck('[data-do=wrap]');
    await rowsFillTheView(tab);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('lines that come in bunches are all there, and the end stays in view', async (t) => {
    const bunches = `task_configuration: {name: bunches, command: 'n=0; while [ $n -lt 2800 ]; do seq $((n + 1)) $((n + 70)); n=$((n + 70)); sleep .1; done; exec sleep 1000', cpu: .1, mem: 64}
deployment_layout: {local-a: {count: 1}}`;
    t.equal((await cluster.apply(bunches)).status, 200);
    await cluster.ready('bunches', 1);
    const { context, tab, complaints } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/bunches/logs?since=1h`);
    const gaps = new Set<string>();
    let begun = false;
    await eventually(async () => {
      const rows = (await tab.evaluate(
        '[...document.querySelectorAll(".row")].map((row) => row.lastChild.textContent)',
      )) as string[];
      for (const [at, row] of rows.entries())
        if (at > 0 && Number(row) !== Number(rows[at - 1]) + 1) gaps.add(`${rows[at - 1]} ${row}`);
      if (begun && rows.length === 0) gaps.add('an empty view');
      begun ||= rows.length > 0;
      return rows.at(-1) === '2800';
    }, 'the last line is there');
    t.strictSame([...gaps], [], 'no line is missing between others');
    await eventually(async () => (await fromEnd(tab)) < 40, 'the end is in view');
    t.equal((await cluster.fetch('/api/v1/jobs/bunches', { method: 'DELETE' })).status, 200);
    t.strictSame(complaints, []);
    await context.close();
  });

  await t.test('a page that is left open does not grow', async (t) => {
    const { context, tab } = await dashboard.window();
    await tab.goto(`${cluster.url}/jobs/flood/logs?since=1h`);
    await eventually(async () => (await lastRow(tab)) === String(FLOOD), 'it is full');
    const protocol = await context.newCDPSession(tab);
    await protocol.send('Performance.enable');
    const size = async (): Promise<{ nodes: number; listeners: number; heap: number }> => {
      await protocol.send('HeapProfiler.collectGarbage');
      const { metrics } = await protocol.send('Performance.getMetrics');
      const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? 0;
      return { nodes: of('Nodes'), listeners: of('JSEventListeners'), heap: of('JSHeapUsedSize') };
    };
    const full = await size();
    // As many lines again as the page keeps, twice: a day of a task that writes two lines a second.
    for (let round = 1; round <= 2; round++) {
      t.equal((await cluster.fetch('/api/v1/jobs/flood/restart', { method: 'POST' })).status, 200);
      await eventually(
        async () => {
          const copies = await cluster.ready('flood', 1);
          return copies[0]?.task?.run === round + 1 && (await lastRow(tab)) === String(FLOOD);
        },
        `run ${round + 1} has written all`,
      );
    }
    const later = await size();
    t.comment(JSON.stringify({ full, later }));
    t.ok(later.nodes < full.nodes * 1.5 + 500, 'no more nodes');
    t.ok(later.listeners <= full.listeners + 5, 'no more listeners');
    t.ok(later.heap < full.heap * 1.5, 'no more memory');
    await context.close();
  });

  await t.test('a jump to a run, and to a time', async (t) => {
    const { context, tab } = await dashboard.window();
    const [copy] = await cluster.ready('flood', 1);
    await tab.goto(`${cluster.url}/copies/${copy?.copy}/logs`);
    await tab.fill('#run', '1');
    await tab.click('text="Show these"');
    await eventually(async () => (await lastRow(tab)) === String(FLOOD), 'the first run is there');
    await tab.fill('#since', 'yesterday');
    await tab.click('text="Show these"');
    t.match(await tab.textContent('main'), 'since: "yesterday" is neither a time ago');
    await context.close();
  });
}

const WATCH_LONG_TASKS = `(() => {
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longTasks.push(Math.round(duration));
  }).observe({ type: 'longtask' });
})()`;

/** Whether there is a row at the top and at the bottom of the view. */
const ROWS_FILL_THE_VIEW = `(() => {
  const box = document.querySelector('.loglines').getBoundingClientRect();
  const at = (y) => document.elementFromPoint(box.left + 40, y)?.closest('.row') !== null;
  return at(box.top + 16) && at(box.bottom - 16);
})()`;

async function rowsFillTheView(tab: Page): Promise<void> {
  await eventually(async () => tab.evaluate(ROWS_FILL_THE_VIEW), 'there are lines from the top of the view to its end');
}

async function lastRow(tab: Page): Promise<string> {
  return String(await tab.evaluate('[...document.querySelectorAll(".row")].at(-1)?.lastChild.textContent'));
}

async function fromEnd(tab: Page): Promise<number> {
  return Number(
    await tab.evaluate(
      '(({ scrollTop, scrollHeight, clientHeight }) => scrollHeight - scrollTop - clientHeight)(document.querySelector(".loglines"))',
    ),
  );
}

async function inView(tab: Page, selector: string): Promise<boolean> {
  return Boolean(
    await tab.evaluate(`(() => {
      const row = document.querySelector('${selector}').getBoundingClientRect();
      const box = document.querySelector('.loglines').getBoundingClientRect();
      return row.top >= box.top && row.bottom <= box.bottom;
    })()`),
  );
}
