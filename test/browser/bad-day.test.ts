import t from 'tap';
import { LONG_NAME, troubledCluster } from '../fakes/troubled-cluster.ts';
import { dashboard, TOKEN } from '../http/dashboard-under-test.ts';
import { barriers, Chromium, fits, LOOKS } from './chromium.ts';

const name = encodeURIComponent(LONG_NAME);
const PAGES = [
  '/',
  '/jobs',
  '/jobs/web',
  `/jobs/${name}`,
  '/jobs/web/versions/7',
  '/jobs/web/logs',
  '/jobs/web/scale?zone=aws-us-west-2a&count=40',
  `/jobs/${name}/remove`,
  `/copies/${name}.1`,
  '/copies/web.25',
  '/machines',
  '/machines/aws-us-west-2a-4',
  '/machines/aws-eu-central-1a-i-0123456789abcdef0',
  '/alerts',
  '/events',
  '/search?q=web',
];
const LOOKED_AT = new Set(['/', `/copies/${name}.1`]);

t.test('pages stay readable on a bad day: forty copies, lost machines, a failed roll-out, long names', async (t) => {
  if (Chromium.missing(t)) return;
  const { base } = await dashboard(t, troubledCluster());
  const browser = new Chromium();
  t.teardown(() => browser.stop());
  await browser.start();
  for (const [look, options] of Object.entries({ light: LOOKS.light, narrow: LOOKS.narrow })) {
    const { context, tab, complaints } = await browser.window(base, TOKEN, { ...options, bypassCSP: true });
    for (const path of PAGES) {
      const answer = await tab.goto(base + path, { waitUntil: 'load' });
      t.equal(answer?.status(), 200, path);
      t.equal(await fits(tab), true, `${path} fits, ${look}`);
      // Each takes seconds on pages as long as these.
      if (LOOKED_AT.has(path)) t.strictSame(await barriers(tab), [], `${path}, ${look}`);
    }
    t.strictSame(complaints, []);
    await context.close();
  }
});
