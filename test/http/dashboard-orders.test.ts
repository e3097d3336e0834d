import t from 'tap';
import { CerebroError } from '../../core/errors.ts';
import { type JobVersion, jobSpec } from '../../core/model/job.ts';
import { type FakeClusterApi, smallCluster } from '../fakes/fake-cluster-api.ts';
import { dashboard } from './dashboard-under-test.ts';

const AT = '2026-01-02T03:04:05.000Z';
const hello = (): FakeClusterApi => smallCluster({ job: 'hello', slug: 'hello', machine: 'local-a-1' });

/** The job with its first version beside the second, which is in force. */
function withVersions(api: FakeClusterApi): void {
  const [job] = api.jobViews;
  if (!job) throw new Error('the fake has a job');
  const before = jobSpec.parse({
    task_configuration: { name: 'hello', command: 'sleep 5', cpu: 0.5, mem: 64 },
    deployment_layout: { 'local-a': { count: 7 } },
  });
  const version = (number: number, spec: JobVersion['spec'], outcome: JobVersion['outcome']): JobVersion => ({
    job: 'hello',
    version: number,
    spec,
    createdAt: AT,
    by: 'ada',
    outcome,
    sentence: null,
  });
  api.versionList = [version(2, job.record.spec, null), version(1, before, 'good')];
}

t.test('what can break something is asked first, with the plan, and changes nothing by being looked at', async (t) => {
  const api = hello();
  api.result = { changes: [], plan: ['stop hello.1: <b>because</b>'], price: { before: 2, after: 1.5 } };
  const { browser } = await dashboard(t, api);
  const questions: [string, RegExp, RegExp][] = [
    ['/jobs/hello/stop', /count: 0/, /Stop the job/],
    ['/jobs/hello/remove', /count: 0/, /Remove the job/],
    ['/jobs/hello/scale?zone=local-a&count=3', /count: 3/, /Scale to 3/],
    ['/machines/local-a-1/drain', /^$/, /Drain the machine/],
    ['/machines/local-a-1/replace', /^$/, /Replace the machine/],
  ];
  for (const [path, text, button] of questions) {
    const page = await browser.page(path);
    t.match(page, 'stop hello.1: &lt;b&gt;because&lt;/b&gt;', path);
    t.match(page, 'The machines cost 2 an hour now, and 1.5 then.', path);
    t.match(page, button, path);
    t.notMatch(page, 'data-live', `${path} is not refreshed under a decision`);
    const asked = api.planned.at(-1);
    t.match(asked?.text, text, path);
    t.same(asked?.drained, path.startsWith('/machines') ? ['local-a-1'] : [], path);
  }
  t.same(api.calls, []);
  api.planError = new CerebroError('unavailable', 'the store is not there');
  t.match(await browser.page('/jobs/hello/stop'), /cannot be said: the store is not there.*Stop the job/s);
});

t.test('a question about what is not there, or that makes no sense, is answered with a sentence', async (t) => {
  const { browser } = await dashboard(t, hello());
  const wrong: [string, number, string][] = [
    ['/jobs/nobody/stop', 404, 'there is no job'],
    ['/machines/nobody/drain', 404, 'there is no machine'],
    ['/jobs/hello/scale?zone=local-b&count=3', 400, 'not laid out in'],
    ['/jobs/hello/scale?zone=local-a&count=many', 400, 'not a number of copies'],
    ['/jobs/hello/scale?zone=local-a&count=99999', 400, 'not a number of copies'],
    ['/jobs/hello/scale?zone=__proto__&count=1', 400, 'not laid out in'],
    ['/jobs/hello/versions/99', 404, 'is not kept'],
    ['/jobs/hello/versions/2?with=x', 404, 'is not kept'],
    ['/copies/hello.1/logs?run=x', 400, 'not the number of a run'],
    ['/copies/hello.1/logs?since=yesterday', 400, 'neither a time ago'],
  ];
  for (const [path, status, sentence] of wrong) {
    const answer = await browser.get(path);
    t.equal(answer.status, status, path);
    t.match(await answer.text(), sentence, path);
  }
});

t.test('orders reach the cluster with who gave them; what breaks something needs to be confirmed', async (t) => {
  const api = hello();
  withVersions(api);
  const { browser } = await dashboard(t, api);
  const yes = { confirm: 'yes' };
  const size = { zone: 'local-a', count: '3' };
  const unconfirmed: [string, Record<string, string>][] = [
    ['/jobs/hello/stop', {}],
    ['/jobs/hello/scale', size],
    ['/jobs/hello/rollback', { to: '1' }],
    ['/machines/local-a-1/replace', {}],
    ['/machines/local-a-1/drain', { ...yes, deadline: 'soon' }],
    ['/jobs/hello/rollout', { do: 'dance' }],
    ['/jobs/hello/stoprun', { run: 'x' }],
    ['/settings/log-level', { level: 'loud' }],
  ];
  for (const [path, fields] of unconfirmed) t.equal((await browser.send(path, fields)).status, 400, path);
  t.same(api.calls, []);
  const orders: [string, Record<string, string>, string, RegExp][] = [
    ['/jobs/hello/stop', yes, 'stop "hello" by browser', /is being stopped/],
    ['/jobs/hello/start', {}, 'start "hello" by browser', /is being started/],
    ['/jobs/hello/scale', { ...yes, ...size }, 'scale "hello" to 3 in local-a by browser', /3 copies in local-a/],
    ['/jobs/hello/rollback', { ...yes, to: '1' }, 'roll back "hello" to 1 by browser', /back to version 1/],
    ['/jobs/hello/rollout', { do: 'pause' }, 'pause "hello" by browser', /paused/],
    ['/jobs/hello/rollout', { do: 'resume' }, 'resume "hello" by browser', /goes on/],
    ['/jobs/hello/rollout', { do: 'promote' }, 'promote "hello" by browser', /at once/],
    ['/jobs/hello/run', {}, 'run "hello" by browser', /Run 1 of "hello" begins/],
    ['/jobs/hello/stoprun', { run: '4' }, 'stop run 4 of "hello" by browser', /Run 4/],
    ['/machines/local-a-1/cordon', {}, 'cordon local-a-1 by browser', /no more copies/],
    ['/machines/local-a-1/uncordon', {}, 'uncordon local-a-1 by browser', /may get copies/],
    ['/machines/local-a-1/drain', { ...yes, deadline: '60' }, 'drain local-a-1 within 60 s by browser', /drained/],
    ['/machines/local-a-1/undrain', {}, 'cancel drain of local-a-1 by browser', /no longer drained/],
    ['/machines/local-a-1/replace', yes, 'replace local-a-1 by browser', /local-a-1-new is ordered/],
    ['/settings/log-level', { level: 'debug' }, 'log level debug by browser', /debug until the next start/],
  ];
  for (const [path, fields, call, notice] of orders) {
    t.equal((await browser.send(path, fields, false)).status, 403, `${path} without its CSRF token`);
    const answer = await browser.send(path, fields);
    t.equal(answer.status, 303, path);
    const place = decodeURIComponent(answer.headers.get('location') ?? '');
    t.match(place, notice, path);
    t.match(
      place,
      new RegExp(
        `^${path
          .split('/')
          .slice(0, path.startsWith('/settings') ? 2 : 3)
          .join('/')}\\?`,
      ),
    );
    t.equal(api.calls.at(-1), call);
  }
  t.equal(api.calls.length, orders.length, 'nothing was done twice');
});

t.test('two versions are told apart line by line, and the way back keeps the number of copies', async (t) => {
  const api = hello();
  withVersions(api);
  const { browser } = await dashboard(t, api);
  t.match(await browser.page('/jobs/hello'), /id="version-1".*\/jobs\/hello\/versions\/1/s);
  const page = await browser.page('/jobs/hello/versions/1');
  t.match(page, /class="removed">.*command: sleep 9/s);
  t.match(page, /class="added">.*command: sleep 5/s);
  t.match(page, /\d+ lines alike/);
  t.match(page, 'Go back to version 1');
  t.match(api.planned[0]?.text, /command: sleep 5[\s\S]*count: 1\n/);
  t.notMatch(await browser.page('/jobs/hello/versions/2'), 'Go back to version 2', 'it is in force already');
});

t.test('a roll-out shows how far it is, and what can be done with it', async (t) => {
  const api = hello();
  const [job] = api.jobViews;
  if (!job) throw new Error('the fake has a job');
  job.rollout = { to: 2, state: 'rolling', startedAt: AT, promoted: false, revertOf: null, sentence: null };
  const { browser } = await dashboard(t, api);
  const rolling = await browser.page('/jobs/hello');
  t.match(rolling, /Roll-out to version 2.*1 of 1 copy.*Pause.*All the rest at once/s);
  t.match(await browser.page('/'), /Under way.*id="way-roll-out-hello".*to version 2.*1 of 1 copy/s);
  job.rollout = { ...job.rollout, state: 'failed', sentence: 'hello.1 did not come up' };
  const failed = await browser.page('/jobs/hello');
  t.match(failed, /Why it is failing.*hello.1 did not come up.*Resume/s);
});

t.test('runs are told with what came of them, and one that goes on can be stopped', async (t) => {
  const api = hello();
  const [job] = api.jobViews;
  if (!job) throw new Error('the fake has a job');
  const at = Date.parse(AT);
  const run = { due: null, by: 'ada', version: 2, startedAt: at };
  job.record.spec.task_configuration.allow_exit = true;
  job.record.runs = [
    { ...run, id: 1, state: 'completed', endedAt: at + 5000, sentence: 'all copies have exited' },
    { ...run, id: 2, state: 'running', endedAt: null, sentence: 'asked for by ada' },
  ];
  const { browser } = await dashboard(t, api);
  const page = await browser.page('/jobs/hello');
  t.match(page, /id="run-2".*stoprun.*Stop run 2.*id="run-1".*5 s.*all copies have exited/s);
  t.match(page, 'Run it now');
});

t.test('a stopped job wants nothing, and offers its start', async (t) => {
  const api = hello();
  const [job] = api.jobViews;
  if (!job) throw new Error('the fake has a job');
  job.stopped = true;
  job.zones = { 'local-a': { wanted: 1, ready: 0, starting: 0, failing: 0 } };
  api.copyViews = [];
  const { browser } = await dashboard(t, api);
  t.match(await browser.page('/jobs/hello'), /stopped<\/span>.*action="\/jobs\/hello\/start".*the job is stopped/s);
  t.match(await browser.page('/jobs/hello'), /name="count"[^>]*value="1"/, 'its layout is what it was');
  t.match(await browser.page('/'), 'No copies are wanted now');
});

t.test('a machine that is being drained offers the way out of it', async (t) => {
  const api = hello();
  const [machine] = api.machineViews;
  if (!machine) throw new Error('the fake has a machine');
  t.match(await (await dashboard(t, api)).browser.page('/machines/local-a-1'), 'cerebro login local-a-1');
  machine.state = 'draining';
  machine.cordoned = true;
  const { browser } = await dashboard(t, api);
  const page = await browser.page('/machines/local-a-1');
  t.match(page, 'action="/machines/local-a-1/undrain"');
  t.notMatch(page, '/machines/local-a-1/replace');
});

t.test('a plan of a form that somebody overtook says so, and is no way round the question', async (t) => {
  const api = hello();
  api.result = { changes: [{ job: 'hello', change: 'updated', version: 3, restarts: true }], plan: [], price: null };
  const { browser } = await dashboard(t, api);
  const basisIn = (page: string): string => /name="basis" value="([^"]*)"/.exec(page)?.[1] ?? '';
  const current = basisIn(await browser.page('/jobs/hello'));
  const seen = '2025-01-01T00:00:00.000Z';
  const plan = async (basis: string): Promise<string> =>
    (await browser.send('/jobs/hello', { text: 'mine', do: 'plan', basis })).text();
  const overtaken = await plan(seen);
  t.match(overtaken, /The plan.*Somebody else changed this job/s);
  t.equal(basisIn(overtaken), seen, 'what was seen is still the older state');
  const refused = await browser.send('/jobs/hello', { text: 'mine', do: 'apply', basis: basisIn(overtaken) });
  t.equal(refused.status, 409);
  t.equal(basisIn(await refused.text()), current, 'who was told may go on');
  const fresh = await plan(current);
  t.notMatch(fresh, 'Somebody else');
  t.equal(basisIn(fresh), current);
  api.applyError = new CerebroError('invalid', 'no command');
  const wrong = await plan(seen);
  t.match(wrong, 'no command');
  t.equal(basisIn(wrong), seen);
});
