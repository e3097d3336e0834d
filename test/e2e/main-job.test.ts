import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { type CopyRow, EmbeddedCluster, eventually, isAlive } from './embedded-cluster.ts';

const example = (name: string): string => join(packageRoot, 'examples', name);
const job = (counts: Record<string, number>, more = ''): string => `
task_configuration:
  name: web
  command: 'echo started $CEREBRO_COPY; exec sleep 1000'
  cpu: 1
  mem: 100
  ensure_alive: true
  ${more}
deployment_layout: {${Object.entries(counts)
  .map(([zone, count]) => `${zone}: {count: ${count}}`)
  .join(', ')}}
update: {min_healthy: 0}
`;

t.test('the main job, on the embedded default', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();

  await t.test('up says how to sign in and what to try, and keeps token and configuration to the user', async (t) => {
    t.match(cluster.output, new RegExp(`${cluster.url}/signin\\?code=\\S+`));
    t.match(cluster.output, /job_update_cfg --clustersitterurl/);
    t.equal(statSync(join(cluster.dataDir, 'admin.token')).mode & 0o777, 0o600);
    t.equal(statSync(join(cluster.env.XDG_CONFIG_HOME ?? '', 'cerebro', 'config.yaml')).mode & 0o777, 0o600);
  });

  await t.test('job_update_cfg runs the example; machines are created for it and its copies are listed', async (t) => {
    const result = await cluster.cli(
      ['--clustersitterurl', cluster.url, example('hello.yaml')],
      join(packageRoot, 'bin', 'job_update_cfg'),
    );
    t.equal(result.code, 0, result.stderr);
    await cluster.ready('hello', 3);
    t.match(await cluster.cliJson(['listjobs']), [
      {
        name: 'hello',
        version: 1,
        state: 'active',
        zones: {
          'local-a': { wanted: 2, ready: 2, starting: 0, failing: 0 },
          'local-b': { wanted: 1, ready: 1, starting: 0, failing: 0 },
        },
        updatedAt: (await cluster.get<{ updatedAt: string }[]>('/api/v1/jobs'))[0]?.updatedAt,
        linkedJob: null,
      },
    ]);
    const machines = await cluster.cliJson<{ id: string; zone: string; copies: unknown[] }[]>(['listmachines']);
    t.same(
      machines.map(({ id, copies }) => [id, copies.length]),
      [
        ['local-a-1', 2],
        ['local-b-1', 1],
      ],
    );
  });

  await t.test('applying the same file again does nothing, and says so', async (t) => {
    const before = (await cluster.copies()).map((copy) => copy.task?.pid);
    const { stdout } = await cluster.cli(['updatejobcfg', example('hello.yaml')]);
    t.match(stdout, /as it was.*nothing to do/);
    t.same(
      (await cluster.copies()).map((copy) => copy.task?.pid),
      before,
    );
  });

  await t.test(
    'more copies create machines as needed, fewer end the surplus, an idle machine beyond the limit is ended',
    async (t) => {
      t.equal((await cluster.apply(job({ 'local-a': 1 }))).status, 200);
      await cluster.ready('web', 1);
      const pid = (await cluster.ready('web', 1))[0]?.task?.pid;
      await cluster.apply(job({ 'local-a': 4 }));
      const four = await cluster.ready('web', 4);
      t.ok(
        four.some((copy) => copy.task?.pid === pid),
        'the copy that was there was not touched',
      );
      t.ok((await cluster.machines()).filter(({ zone }) => zone === 'local-a').length >= 3);
      await cluster.cli(['updateidlelimit', '0']);
      await cluster.apply(job({ 'local-a': 1 }));
      await cluster.ready('web', 1);
      t.same(await cluster.cli(['removejob', 'web']).then(({ code }) => code), 0);
      await eventually(async () => !(await cluster.copies()).some((copy) => copy.job === 'web'), 'the job is gone');
    },
  );

  await t.test('a change of the command is a new version, rolled one copy after another', async (t) => {
    await cluster.apply(job({ 'local-c': 2 }));
    await cluster.ready('web', 2);
    await cluster.apply(job({ 'local-c': 2 }, 'env: {COLOUR: blue}'));
    await eventually(
      async () => (await cluster.ready('web', 2)).every((copy) => copy.version === 2),
      'both run version 2',
    );
    const updates = (await cluster.events()).filter(
      ({ kind, message }) => kind === 'copy-update' && message.includes('web'),
    );
    t.equal(updates.length, 2);
  });

  await t.test('a task that is killed is back', async (t) => {
    const [copy] = await cluster.ready('web', 2);
    const pid = copy?.task?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await eventually(async () => {
      const now = (await cluster.copies()).find((other) => other.copy === copy?.copy);
      return now?.state === 'ready' && now.task?.pid && now.task.pid !== pid;
    }, 'it runs under another pid');
    t.equal((await cluster.ready('web', 2)).length, 2);
  });

  await t.test(
    'a machine sitter that is killed with -9 is started again, and its tasks were never interrupted',
    async (t) => {
      const [copy] = await cluster.ready('web', 2);
      const machine = copy?.machine ?? '';
      const before = (await cluster.copies())
        .filter((other) => other.machine === machine)
        .map((other) => other.task?.pid);
      const sitter = cluster.sitterPid(machine);
      process.kill(sitter, 'SIGKILL');
      await eventually(() => cluster.sitterPid(machine) !== sitter, 'there is another sitter');
      await cluster.ready('web', 2);
      await eventually(async () => {
        const after = (await cluster.copies())
          .filter((other) => other.machine === machine)
          .map((other) => other.task?.pid);
        return JSON.stringify(after) === JSON.stringify(before);
      }, 'the new sitter reports the same processes');
      t.ok(before.every((pid) => pid && isAlive(pid)));
    },
  );

  await t.test('a machine that loses its power is lost and replaced by one like it, every time', async (t) => {
    for (let round = 0; round < 3; round++) {
      const [copy] = await cluster.ready('web', 2);
      const machine = copy?.machine ?? '';
      const pids = (await cluster.copies())
        .filter((other) => other.machine === machine)
        .map((other) => other.task?.pid ?? 0);
      const { code, stderr } = await cluster.cli(['local', 'crash', machine]);
      t.equal(code, 0, stderr);
      t.notOk(pids.some(isAlive), 'nothing of it lives');
      await eventually(async () => !(await cluster.machines()).some(({ id }) => id === machine), `${machine} is gone`);
      await cluster.ready('web', 2);
    }
    const lost = (await cluster.events()).filter(({ kind }) => kind === 'machine-lost');
    t.equal(lost.length, 3);
  });

  await t.test('a sitter that is killed again and again makes its machine lost, and it is replaced', async (t) => {
    const [copy] = await cluster.ready('web', 2);
    const machine = copy?.machine ?? '';
    await eventually(
      async () => {
        if (!(await cluster.machines()).some(({ id }) => id === machine)) return true;
        try {
          process.kill(cluster.sitterPid(machine), 'SIGKILL');
        } catch {
          // between two lives, or gone for good
        }
        return false;
      },
      `${machine} is given up`,
      60_000,
    );
    t.equal((await cluster.ready('web', 2)).length, 2);
  });

  await t.test(
    'logs by job, by copy, by stream; the nearest names for an unknown one; no way out of the folder',
    async (t) => {
      const copies = await cluster.ready('web', 2);
      const copy = copies[0]?.copy ?? '';
      const text = await (await cluster.fetch(`/logs/${copy}?tail=1`)).text();
      t.equal(text, `started ${copy}\n`);
      t.equal(await (await cluster.fetch(`/logs/web?copy=${copy}`)).text(), `started ${copy}\n`);
      t.equal(await (await cluster.fetch(`/logs/${copy}?stream=stderr`)).text(), '');
      const ambiguous = await cluster.fetch('/logs/web');
      t.equal(ambiguous.status, 409);
      t.match(await ambiguous.text(), copy);
      const unknown = await cluster.fetch('/logs/wep');
      t.equal(unknown.status, 404);
      t.match(await unknown.text(), /did you mean.*web/);
      for (const name of ['..%2f..%2fadmin.token', '%2e%2e%2fadmin.token', '.%00', '%2fetc%2fpasswd']) {
        const answer = await cluster.fetch(`/logs/${name}`);
        t.ok(answer.status === 404 || answer.status === 400 || answer.status === 302, `${name}: ${answer.status}`);
        t.notMatch(await answer.text(), cluster.token);
      }
      const out = await cluster.cli(['logs', copy, '-n', '1']);
      t.equal(out.stdout, `started ${copy}\n`);
    },
  );

  await t.test('a follower gets what is written later', async (t) => {
    const [copy] = await cluster.ready('hello', 3);
    const abort = new AbortController();
    const response = await cluster.fetch(`/logs/${copy?.copy}?follow=1&tail=0`, { signal: abort.signal });
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.split('\n').length > 2) break;
    }
    abort.abort();
    t.match(text, /hello from/);
  });

  await t.test('nothing is told to who has no token, and nothing listens but on loopback', async (t) => {
    for (const path of ['/api/v1/jobs', '/api/v1/status', '/logs/web', '/live']) {
      t.equal((await fetch(`${cluster.url}${path}`)).status, 401, path);
      t.equal((await fetch(`${cluster.url}${path}`, { headers: { authorization: 'Bearer wrong' } })).status, 401, path);
    }
    t.equal((await fetch(`${cluster.url}/healthz`)).status, 200);
    const listening = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && Number.parseInt(fields[1]?.split(':')[1] ?? '', 16) === cluster.port)
      .map((fields) => fields[1]?.split(':')[0]);
    t.same(listening, ['0100007F']);
  });

  await t.test('wrong job files are refused with file, line and key, and nothing is changed', async (t) => {
    const before = JSON.stringify(await cluster.get('/api/v1/jobs'));
    const recipe = (name: string): string => `${job({ 'local-a': 1 })}deployment_recipe: ${name}\n`;
    const bad: [string, string, RegExp][] = [
      ['no YAML', 'a: [', /test\.yaml:1: is not YAML/],
      [
        'an unknown key',
        job({ 'local-a': 1 }, 'comand: x'),
        /test\.yaml:\d+: task_configuration\.comand: unknown key; did you mean "command"/,
      ],
      ['a negative cpu', job({ 'local-a': 1 }).replace('cpu: 1', 'cpu: -1'), /task_configuration\.cpu: .*got -1/],
      ['a zone that nobody serves', job({ 'aws-us-west-2a': 1 }), /no provider serves this zone/],
      ['a zone that the provider has not', job({ 'local-z': 1 }), /"local" does not serve/],
      ['a recipe that is not there', recipe('./nowhere.ts'), /there is no file/],
      [
        'a recipe that is not there in Python',
        recipe('mystartup.recipes.deploy'),
        /there is no Python module mystartup/,
      ],
      ['a recipe that nobody knows', recipe('mystartup'), /no recipe loader knows|cannot be used/],
      ['a copy that fits on no machine', job({ 'local-a': 1 }).replace('cpu: 1', 'cpu: 99'), /no machine type/],
      ['a link to nobody', `${job({ 'local-a': 1 })}linked_job: nobody\n`, /there is no job "nobody"/],
      [
        'a circle',
        `${job({ 'local-a': 1 })}linked_job: other\n---\n${job({ 'local-a': 1 }).replace('name: web', 'name: other')}linked_job: web\n`,
        /a circle/,
      ],
      [
        'one good and one bad',
        `${job({ 'local-a': 3 }).replace('name: web', 'name: good')}---\n${job({ 'local-q': 1 })}`,
        /does not serve/,
      ],
    ];
    for (const [what, text, sentence] of bad) {
      const answer = await cluster.apply(text);
      t.equal(answer.status, 400, what);
      t.match(((await answer.json()) as { error: { message: string } }).error.message, sentence, what);
    }
    t.equal((await cluster.apply('x'.repeat(1024 * 1024 + 1))).status, 413);
    t.equal(JSON.stringify(await cluster.get('/api/v1/jobs')), before);
    const cli = await cluster.cli(['updatejobcfg', '/nowhere/at/all.yaml']);
    t.equal(cli.code, 2);
    t.match(cli.stderr, /cannot be read/);
  });

  await t.test('a recipe runs for each copy before it starts, and what it says is on the timeline', async (t) => {
    const answer = await cluster.apply(`
task_configuration: {name: cooked, command: 'cat $HOME/../nothing 2>/dev/null; exec sleep 1000', cpu: .1, mem: 10, ensure_alive: true}
deployment_layout: {local-a: {count: 2}}
deployment_recipe: script
recipe_options: {script: 'echo "cooking $COPY with $1"; echo "$1" > "dish-$COPY"', args: ['a "b" $c']}
`);
    t.equal(answer.status, 200, await answer.text());
    const copies = await cluster.ready('cooked', 2);
    for (const { copy, machine } of copies) {
      t.equal(readFileSync(join(cluster.dataDir, 'machines', machine, 'home', `dish-${copy}`), 'utf8'), 'a "b" $c\n');
      let kinds: string[] = [];
      await eventually(async () => {
        kinds = (await cluster.events()).filter((event) => event.copy === copy).map(({ kind }) => kind);
        return kinds.includes('task-running');
      }, 'the start is on the timeline');
      t.ok(kinds.indexOf('recipe-done') < kinds.indexOf('task-running'), 'the recipe came first');
      t.ok((await cluster.events()).some((event) => event.copy === copy && event.message.includes('cooking')));
    }
  });

  await t.test("the original's own example runs as it stands", async (t) => {
    const result = await cluster.cli(['updatejobcfg', example('original.json')]);
    t.equal(result.code, 0, result.stderr);
    if (process.getuid?.() === 0) await cluster.ready('Portal Server', 11);
    t.match((await cluster.cli(['explain', 'Portal Server'])).stdout, /local-b: \d+ of 10 copies are ready/);
    await cluster.cli(['removejob', 'Portal Server']);
  });

  await t.test('Ctrl-C leaves the tasks running, and the next start adopts them', async (t) => {
    const before = pidsOf(await cluster.ready('web', 2));
    t.equal(await cluster.end('SIGINT'), 0);
    t.ok([...before.values()].every(isAlive), 'they live on without any cluster sitter');
    await cluster.up();
    t.same(pidsOf(await cluster.ready('web', 2)), before);
  });

  await t.test('a second cerebro up on the same folder is refused, and so is a port that is taken', async (t) => {
    const second = await cluster.cli(['--data-dir', cluster.dataDir, '--port', '0', 'up']);
    t.equal(second.code, 1);
    t.match(second.stderr, /in use by a daemon already/);
    const taken = await cluster.cli([
      '--data-dir',
      join(cluster.folder, 'other'),
      '--port',
      String(cluster.port),
      'up',
    ]);
    t.equal(taken.code, 1);
    t.match(taken.stderr, /port \d+ .* is taken/);
  });

  await t.test('down stops all, and up takes it all up again', async (t) => {
    const before = pidsOf(await cluster.copies());
    const result = await cluster.cli(['--data-dir', cluster.dataDir, 'down']);
    t.equal(result.code, 0, result.stderr);
    t.notOk([...before.values()].some(isAlive));
    await cluster.up();
    await cluster.ready('web', 2);
    await cluster.ready('hello', 3);
  });
});

function pidsOf(copies: readonly CopyRow[]): Map<string, number> {
  return new Map(copies.map((copy) => [copy.copy, copy.task?.pid ?? 0]));
}
