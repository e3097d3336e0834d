import t from 'tap';
import { statesOf, troubleFirst } from '../../plugins/ui-dashboard/copy-order.ts';
import { troubledCluster } from '../fakes/troubled-cluster.ts';
import { dashboard } from './dashboard-under-test.ts';

t.test('the overview says how many are failing, and that what has failed is not under way', async (t) => {
  const { browser } = await dashboard(t, troubledCluster());
  const page = await browser.page('/');
  t.match(page, '33 of 49 copies are ready');
  t.match(page, '6 copies are failing, 4 copies are starting.');
  t.match(page, /Under way.*id="way-machine-aws-us-west-2a-5".*54 %/s);
  t.notMatch(page, 'id="way-roll-out-web"');
  t.match(page, /Needs attention.*version 8 of &quot;web&quot; has failed/s);
});

t.test('copies in trouble come first: on the page of their job, and among the logs that are shown', async (t) => {
  const { browser } = await dashboard(t, troubledCluster());
  const page = await browser.page('/jobs/web');
  const order = [...page.matchAll(/<tr id="copy-(web\.\d+)"/g)].map(([, copy]) => copy);
  t.strictSame(
    order.slice(0, 10),
    [25, 26, 27, 28, 29, 30, 22, 23, 24, 1].map((number) => `web.${number}`),
  );
  t.match(page, /ready<\/span> 31<.*failing<\/span> 6<.*deploying<\/span> 3</s);
  const logs = await browser.page('/jobs/web/logs');
  const followed = [...logs.matchAll(/data-name="(web\.\d+)"/g)].map(([, copy]) => copy);
  t.strictSame(followed, ['web.25', 'web.26', 'web.27', 'web.28']);
});

t.test('a sentence leads to the copy or the machine that it begins with', async (t) => {
  const api = troubledCluster();
  api.alertViews = [];
  api.attention = [
    'web.25: exited with code 3',
    'aws-us-west-2a-4 is lost: it is silent',
    'nobody: is there',
    'no room',
  ];
  const { browser } = await dashboard(t, api);
  for (const path of ['/', '/alerts']) {
    const [list = ''] = /<ul class="alerts">.*?<\/ul>/s.exec(await browser.page(path)) ?? [];
    t.match(list, /web\.25: exited with code 3\s+<span class="about"><a href="\/copies\/web\.25">/);
    t.match(list, /it is silent\s+<span class="about"><a href="\/machines\/aws-us-west-2a-4">/);
    t.equal([...list.matchAll(/<a /g)].length, 2, 'and where there is none, to nothing');
  }
});

t.test('of a roll-out that has failed, the way back is offered first', async (t) => {
  const api = troubledCluster();
  const { browser } = await dashboard(t, api);
  t.match(await browser.page('/jobs/web'), /<button>Resume<.*class="button primary"[^>]*>Back to version 7…/s);
  const [job] = api.jobViews;
  if (job?.rollout) job.rollout.state = 'paused';
  t.match(await browser.page('/jobs/web'), /<button class="primary">Resume<.*class="button"[^>]*>Back to version 7…/s);
});

t.test('copies keep their order where nothing tells them apart', (t) => {
  const of = (copy: string, state: 'ready' | 'failing' | 'placed' | 'unknown') => ({ copy, state });
  const copies = [of('a', 'ready'), of('b', 'placed'), of('c', 'failing'), of('d', 'ready'), of('e', 'unknown')];
  t.strictSame(
    troubleFirst(copies).map(({ copy }) => copy),
    ['c', 'e', 'b', 'a', 'd'],
  );
  t.strictSame(statesOf(copies)[0], { state: 'ready', count: 2 });
  t.strictSame(troubleFirst([]), []);
  t.end();
});
