import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { ClusterApi, ClusterStatus, JobView, MachineView } from '../../core/contracts/cluster-api.ts';
import { readJobFile } from '../../core/decide/read/read-job-file.ts';
import { CerebroError } from '../../core/errors.ts';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { Pages } from '../../core/http/pages/pages.ts';
import { LegacyApi } from '../../plugins/legacy-api/legacy-api.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const TOKEN = 'the-right-token';
const job = (name: string) => ({
  task_configuration: { name, command: 'sleep 1000' },
  deployment_layout: { 'local-a': { count: 1 } },
});

const status: ClusterStatus = {
  clusterId: 'c',
  version: '1',
  startedAt: '2026-01-01T00:00:00.000Z',
  epoch: 1,
  leads: true,
  leader: null,
  jobs: 1,
  machines: 1,
  copies: { ready: 1 },
  maxIdlePerZone: { '*': 1 },
  attention: [],
};
const jobView: JobView = {
  name: 'hello',
  version: 1,
  state: 'active',
  zones: { 'local-a': { wanted: 1, ready: 1, starting: 0, failing: 0 } },
  stopped: false,
  rollout: null,
  goodVersion: 1,
  nextRun: null,
  lastRun: null,
  updatedAt: '2026-01-01T00:00:00.000Z',
  linkedJob: null,
};
const machineView: MachineView = {
  id: 'local-a-1',
  zone: 'local-a',
  state: 'ready',
  reason: 'its machine sitter answers',
  address: '127.0.0.1',
  type: 'host',
  cordoned: false,
  cpu: { offered: 2, reserved: 1, used: null },
  mem: { offered: 1024, reserved: 128, used: null },
  since: '2026-01-01T00:00:00.000Z',
  createdAt: '2026-01-01T00:00:00.000Z',
  copies: [{ job: 'hello', copy: 'hello.1', state: 'ready', version: 1 }],
};

/** A cluster that writes down what it was asked to do. Whatever these endpoints have no business with fails the test. */
function fakeApi(calls: unknown[][]): ClusterApi {
  const known: Partial<ClusterApi> = {
    status: () => status,
    jobs: () => [jobView],
    machines: () => [machineView],
    apply: async (text, options) => {
      const { entries, problems } = readJobFile(text, options.source);
      if (problems.length > 0) throw new CerebroError('invalid', problems.map(({ sentence }) => sentence).join('\n'));
      calls.push(['apply', text, options]);
      const changes = entries.map(({ spec }) => ({
        job: spec.task_configuration.name,
        change: 'created' as const,
        version: 1,
        restarts: false,
      }));
      return { dryRun: options.dryRun, changes, plan: ['start hello.1 on local-a-1'], price: null };
    },
    removeJob: async (name, by) => {
      if (name === 'nobody') throw new CerebroError('not_found', 'there is no job "nobody"');
      if (name === 'bug') throw new Error('secret insides');
      calls.push(['removeJob', name, by]);
    },
    setIdleLimit: async (limit, zone, by) => {
      calls.push(['setIdleLimit', limit, zone, by]);
    },
    setLogLevel: (level, by) => {
      calls.push(['setLogLevel', level, by]);
    },
    onChange: () => () => undefined,
  };
  return new Proxy(known as ClusterApi, {
    get: (target, name) => {
      if (name in target) return Reflect.get(target, name);
      throw new Error(`the legacy endpoints asked for ${String(name)}`);
    },
  });
}

/** The daemon's real app with these endpoints, on a port of its own. */
async function listening(t: Test) {
  const calls: unknown[][] = [];
  const auth = new Auth({ token: TOKEN, sessionKey: Buffer.alloc(32, 7), name: 'test' });
  const pages = new Pages({
    plugins: [new LegacyApi()],
    api: fakeApi(calls),
    auth,
    logger: silentLogger,
    templates: fileURLToPath(new URL('../../templates', import.meta.url)),
    assets: {},
  });
  const app = daemonApp({
    title: 'test',
    version: '1',
    auth,
    logger: silentLogger,
    routes: [],
    ready: () => true,
    before: [pages.middleware()],
  });
  const server = new HttpServer(app);
  await pages.start();
  const url = await server.listen('127.0.0.1', 0);
  t.teardown(async () => {
    await server.close();
    await pages.stop();
  });

  const send = async (path: string, init: RequestInit & { token?: string | null } = {}) => {
    const { token = TOKEN, ...rest } = init;
    const response = await fetch(`${url}${path}`, {
      ...rest,
      redirect: 'manual',
      headers: { ...rest.headers, ...(token !== null && { authorization: `Bearer ${token}` }) },
    });
    const text = await response.text();
    return { status: response.status, type: response.headers.get('content-type') ?? '', body: parsed(text) };
  };
  /** As Python's urllib.urlencode({"data": json.dumps(…)}) sends it. */
  const post = (path: string, data: string) => send(path, { method: 'POST', body: new URLSearchParams({ data }) });
  return { calls, send, post };
}

interface Body {
  status?: string;
  error?: { code: string; message: string };
  [key: string]: unknown;
}

function parsed(text: string): Body {
  return JSON.parse(text) as Body;
}

t.test('/add_job and /update_job apply what data holds, as it was sent', async (t) => {
  const { calls, post } = await listening(t);
  for (const path of ['/add_job', '/update_job']) {
    const data = JSON.stringify(job('hello'));
    const answer = await post(path, data);
    t.equal(answer.status, 200);
    t.same(answer.body, {
      status: 'ok',
      changes: [{ job: 'hello', change: 'created', version: 1, restarts: false }],
      plan: ['start hello.1 on local-a-1'],
    });
    t.same(calls.pop(), ['apply', data, { source: 'data', dryRun: false, by: 'token admin' }]);
  }
});

t.test('/add_job takes a list of jobs, and the original example with its comments and commas', async (t) => {
  const { post } = await listening(t);
  const two = await post('/add_job', JSON.stringify([job('a'), job('b')]));
  t.same(
    (two.body.changes as { job: string }[]).map((change) => change.job),
    ['a', 'b'],
  );
  const example = readFileSync(new URL('../fixtures/original-example.json', import.meta.url), 'utf8');
  t.match((await post('/add_job', example)).body, { status: 'ok', changes: [{ job: 'Portal Server' }] });
});

t.test('/remove_job takes a name, bare or in a map', async (t) => {
  const { calls, post } = await listening(t);
  for (const data of ['"Portal Server"', '{"name": "Portal Server"}']) {
    t.same((await post('/remove_job', data)).body, { status: 'ok', job: 'Portal Server' });
    t.same(calls.pop(), ['removeJob', 'Portal Server', 'token admin']);
  }
});

t.test('/update_idle_limit takes a number, or a map with a zone', async (t) => {
  const { calls, post } = await listening(t);
  const cases: [data: string, limit: number, zone: string | null][] = [
    ['2', 2, null],
    ['-1', -1, null],
    ['{"idle_limit": 3}', 3, null],
    ['{"limit": 0, "zone": "local-a"}', 0, 'local-a'],
    ['{"idle_limit": 1, "zone": "local-b"}', 1, 'local-b'],
  ];
  for (const [data, limit, zone] of cases) {
    t.same((await post('/update_idle_limit', data)).body, { status: 'ok', limit, zone }, data);
    t.same(calls.pop(), ['setIdleLimit', limit, zone, 'token admin']);
  }
});

t.test("/update_logging_level takes our levels and Python's, in capitals or not", async (t) => {
  const { calls, post } = await listening(t);
  const cases: [data: string, level: string][] = [
    ['"DEBUG"', 'debug'],
    ['"INFO"', 'info'],
    ['"WARNING"', 'warn'],
    ['"ERROR"', 'error'],
    ['{"level": "warning"}', 'warn'],
    ['{"level": "trace"}', 'trace'],
  ];
  for (const [data, level] of cases) {
    t.same((await post('/update_logging_level', data)).body, { status: 'ok', level }, data);
    t.same(calls.pop(), ['setLogLevel', level, 'token admin']);
  }
});

t.test('/overview shows the cluster, its jobs and its machines', async (t) => {
  const { send } = await listening(t);
  const answer = await send('/overview');
  t.equal(answer.status, 200);
  t.same(answer.body, { status: 'ok', cluster: status, jobs: [jobView], machines: [machineView] });
});

t.test('without the right token nothing is done: 401, as JSON and not as a sign-in page', async (t) => {
  const { calls, send } = await listening(t);
  const requests: [path: string, method: string][] = [
    ['/add_job', 'POST'],
    ['/update_job', 'POST'],
    ['/remove_job', 'POST'],
    ['/update_idle_limit', 'POST'],
    ['/update_logging_level', 'POST'],
    ['/overview', 'GET'],
  ];
  for (const [path, method] of requests) {
    for (const token of [null, 'a-wrong-token']) {
      const body = method === 'POST' ? { body: new URLSearchParams({ data: '"hello"' }) } : {};
      const answer = await send(path, { method, token, ...body });
      t.equal(answer.status, 401, `${path} with ${token}`);
      t.match(answer.type, /^application\/json/);
      t.equal(answer.body.error?.code, 'unauthorized');
    }
  }
  t.same(calls, []);
});

t.test('data that is missing, no JSON or something else is 400, with what was expected', async (t) => {
  const { calls, send, post } = await listening(t);
  const cases: [path: string, data: string, expected: RegExp][] = [
    ['/add_job', '', /^data: expected a job, or a list of jobs.*nothing is there$/],
    ['/add_job', '{"task_configuration": ', /^data:1: is not YAML/],
    ['/add_job', '{"task_configuration": {"name": "a", "comand": "x"}}', /did you mean "command"\?/],
    ['/remove_job', '', /^data: expected the name of a job.*nothing is there$/],
    ['/remove_job', '{"name": ', /^data: expected the name of a job.*\{"name": {2}?is not JSON$/],
    ['/remove_job', 'Portal Server', /Portal Server is not JSON$/],
    ['/remove_job', '{"nmae": "a"}', /got \{"nmae": "a"\}$/],
    ['/remove_job', '7', /got 7$/],
    ['/update_idle_limit', '"two"', /^data: expected how many idle machines to keep.*got "two"$/],
    ['/update_idle_limit', '1.5', /got 1\.5$/],
    ['/update_idle_limit', '-2', /got -2$/],
    ['/update_idle_limit', '{"zone": "local-a"}', /got \{"zone": "local-a"\}$/],
    ['/update_logging_level', '"LOUD"', /there are DEBUG, INFO, WARNING and ERROR; got "LOUD"$/],
    ['/update_logging_level', '{"level": "constructor"}', /got \{"level": "constructor"\}$/],
    ['/update_logging_level', '10', /got 10$/],
  ];
  for (const [path, data, expected] of cases) {
    const answer = await post(path, data);
    t.equal(answer.status, 400, `${path} ${data}`);
    t.equal(answer.body.error?.code, 'invalid');
    t.match(answer.body.error?.message, expected);
  }
  const noForm = await send('/remove_job', { method: 'POST' });
  t.equal(noForm.status, 400);
  t.match(noForm.body.error?.message, /nothing is there$/);
  t.same(calls, []);
});

t.test(
  'what the cluster refuses comes as JSON with its own status, and what nobody foresaw without its insides',
  async (t) => {
    const { post } = await listening(t);
    const missing = await post('/remove_job', '"nobody"');
    t.equal(missing.status, 404);
    t.same(missing.body, { error: { code: 'not_found', message: 'there is no job "nobody"' } });
    const bug = await post('/remove_job', '"bug"');
    t.equal(bug.status, 500);
    t.match(bug.type, /^application\/json/);
    t.equal(bug.body.error?.code, 'internal');
    t.notMatch(bug.body.error?.message, /secret/);
  },
);
