import { readFileSync } from 'node:fs';
import t from 'tap';
import { readJobFile } from '../../core/decide/read/read-job-file.ts';

const yaml = (name: string): string => `task_configuration:
  name: ${name}
  command: sleep 1000
deployment_layout:
  local-a: { count: 1 }
`;

const names = (text: string): string[] =>
  readJobFile(text, 'jobs.yaml').entries.map((entry) => entry.spec.task_configuration.name);
const sentences = (text: string): string[] =>
  readJobFile(text, 'jobs.yaml').problems.map((problem) => problem.sentence);

t.test("the original README's example is read as it stands, with its tabs, comments and trailing commas", async (t) => {
  const text = readFileSync(new URL('../fixtures/original-example.json', import.meta.url), 'utf8');
  t.match(text, /\t/);
  t.match(text, /# allow this job/);
  t.match(text, /\},\s*$/);
  const { entries, problems } = readJobFile(text, 'original-example.json');
  t.same(problems, []);
  t.equal(entries.length, 1);
  t.match(entries[0]?.spec, {
    dns_basename: 'redis.startup.com',
    deployment_recipe: 'mystartup.recipes.deploy',
    deployment_layout: { 'aws-us-west-2a': { mem: 500, cpu: 1 }, 'aws-us-east-1b': { mem: 50, cpu: 10 } },
    recipe_options: { release_dir: '/opt/startup/releases/' },
    persistent: true,
    task_configuration: {
      allow_exit: false,
      name: 'Portal Server',
      command: '/opt/wifast/run_wsgi',
      auto_start: false,
      ensure_alive: true,
      max_restarts: -1,
      restart: true,
      uid: 0,
      cpu: 0.5,
      mem: 1200,
    },
  });
});

t.test('what a file leaves out has its default', async (t) => {
  const [entry] = readJobFile(yaml('a'), 'jobs.yaml').entries;
  t.match(entry?.spec, {
    persistent: true,
    recipe_options: {},
    update: { max_parallel: 1, min_healthy: 10 },
    place: { spread: 'soft' },
    task_configuration: {
      ensure_alive: false,
      max_restarts: -1,
      stop_signal: 'SIGTERM',
      backoff: { first: 0, factor: 2 },
    },
  });
});

t.test('a file holds one job, a list, or several documents of either', async (t) => {
  const item = (name: string): string =>
    `{task_configuration: {name: ${name}, command: x}, deployment_layout: {local-a: {count: 1}}}`;
  t.same(names(yaml('a')), ['a']);
  t.same(names(`- ${item('a')}\n- ${item('b')}\n`), ['a', 'b']);
  t.same(names(`${yaml('a')}---\n${yaml('b')}`), ['a', 'b']);
  t.same(names(`${yaml('a')}---\n- ${item('b')}\n- ${item('c')}\n`), ['a', 'b', 'c']);
  t.same(names(`---\n${yaml('a')}---\n---\n${yaml('b')}...\n`), ['a', 'b'], 'an empty document among them is nothing');
  t.same(names(`[${item('a')},\n ${item('b')},]`), ['a', 'b']);
  t.same(names(`${item('a')},\n`), ['a'], 'a comma after it, as in a piece of a longer list');
});

t.test('each job knows the line on which it begins', async (t) => {
  const { entries } = readJobFile(`# two jobs\n${yaml('a')}---\n# the second\n${yaml('b')}`, 'jobs.yaml');
  t.same(
    entries.map((entry) => entry.line),
    [2, 9],
  );
});

t.test('Windows line ends and a byte order mark are fine', async (t) => {
  t.same(names(`\uFEFF${yaml('a').replaceAll('\n', '\r\n')}`), ['a']);
  const { problems } = readJobFile(`${yaml('a')}bad: 1\n`.replaceAll('\n', '\r\n'), 'jobs.yaml');
  t.match(problems, [{ line: 6, key: 'bad' }]);
});

t.test('anchors and aliases of YAML work', async (t) => {
  const text = `recipe_options: &options {x: 1}\n${yaml('a').replace('sleep 1000', '&c run')}version: *c\n`;
  t.match(readJobFile(text, 'jobs.yaml').entries[0]?.spec, { version: 'run', recipe_options: { x: 1 } });
});

t.test('an unknown key is named with its line, what may have been meant and what is known there', async (t) => {
  const text = `task_configuration:
  name: a
  comand: sleep 1000
  command: sleep 1000
  backoff:
    firts: 1
deployment_layout:
  local-a:
    count: 1
    cout: 2
linkd_job: b
zzzzzz: 1
`;
  const { entries, problems } = readJobFile(text, 'jobs.yaml');
  t.same(entries, []);
  t.same(
    problems.map(({ line, key }) => [line, key]).sort((a, b) => Number(a[0]) - Number(b[0])),
    [
      [3, 'task_configuration.comand'],
      [6, 'task_configuration.backoff.firts'],
      [10, 'deployment_layout.local-a.cout'],
      [11, 'linkd_job'],
      [12, 'zzzzzz'],
    ],
  );
  const said = (key: string): string => problems.find((problem) => problem.key === key)?.sentence ?? '';
  t.match(
    said('task_configuration.comand'),
    /^jobs\.yaml:3: task_configuration\.comand: unknown key; did you mean "command"\? Known here: name, command, cpu, /,
  );
  t.match(said('task_configuration.backoff.firts'), /did you mean "first"\? Known here: first, then, factor, max/);
  t.match(said('deployment_layout.local-a.cout'), /did you mean "count".*Known here: cpu, mem, count, fallback$/);
  t.match(said('linkd_job'), /did you mean "linked_job"\?/);
  t.match(said('zzzzzz'), /^jobs\.yaml:12: zzzzzz: unknown key\. Known here: task_configuration, deployment_layout, /);
});

t.test('the names of things that every object has are unknown keys too', async (t) => {
  const { problems } = readJobFile(`${yaml('a')}__proto__: {x: 1}\nconstructor: 1\n`, 'jobs.yaml');
  t.same(
    problems.map(({ line, key }) => [line, key]),
    [
      [6, '__proto__'],
      [7, 'constructor'],
    ],
  );
});

t.test('a wrong value is named with its line, what was expected and what is there', async (t) => {
  const cases: [what: string, from: string, to: string, line: number, expected: RegExp][] = [
    ['a number for text', 'name: a', 'name: 7', 2, /task_configuration\.name: expected string, got 7$/],
    ['text for a number', 'name: a', 'name: a\n  mem: lots', 3, /mem: expected number, got "lots"$/],
    ['too little', 'name: a', 'name: a\n  cpu: -1', 3, /cpu: expected cores, more than 0.*, got -1$/],
    ['not of the list', 'name: a', 'name: a\n  stop_signal: SIGX', 3, /expected one of SIGTERM, .*, got "SIGX"$/],
    ['a missing key', '  command: sleep 1000\n', '', 1, /command: expected string, nothing is there$/],
    ['no map', '{ count: 1 }', '3', 5, /deployment_layout\.local-a: expected object, got 3$/],
    ['a zone that is none', 'local-a', 'Local', 5, /a zone is PROVIDER-ZONE in lower case, like local-a/],
    ['no count at all', '{ count: 1 }', '{ mem: 3 }', 5, /says neither "count" nor "cpu": how many copies\?/],
    ['a fraction of a copy', 'count: 1', 'count: 1.5', 5, /local-a\.count: expected int/],
    ['a name with a slash', 'name: a', 'name: a/b', 2, /a name is printable text without "\/"/],
  ];
  for (const [what, from, to, line, expected] of cases) {
    const { entries, problems } = readJobFile(yaml('a').replace(from, to), 'jobs.yaml');
    t.same(entries, [], what);
    t.equal(problems.length, 1, what);
    t.equal(problems[0]?.line, line, what);
    t.match(problems[0]?.sentence, new RegExp(`^jobs\\.yaml:${line}: `), what);
    t.match(problems[0]?.sentence, expected, what);
  }
});

t.test('lines are those of the file in JSON, in a list and in a second document', async (t) => {
  const bad = { task_configuration: { name: 'a', command: 7 }, deployment_layout: { 'local-a': { count: 1 } } };
  t.match(readJobFile(JSON.stringify([bad], null, 2), 'j').problems, [{ line: 5, key: 'task_configuration.command' }]);
  t.match(readJobFile(`${yaml('a')}---\n${yaml('b')}bad: 1\n`, 'j').problems, [{ line: 12, key: 'bad' }]);
});

t.test('every problem of a file is told at once', async (t) => {
  t.equal(sentences(`${yaml('a')}bad: 1\n---\n${yaml('b')}worse: 1\npersistent: 3\n`).length, 3);
});

t.test('a name that stands in a file twice is refused, at the second, with the line of the first', async (t) => {
  const again = 'task_configuration.name: "a" stands in this file twice, at line 1 already';
  t.same(sentences(`${yaml('a')}---\n${yaml('b')}---\n${yaml('a')}`), [`jobs.yaml:13: ${again}`]);
  const item = '{task_configuration: {name: a, command: x}, deployment_layout: {local-a: {count: 1}}}';
  t.same(sentences(`- ${item}\n- ${item}\n`), [`jobs.yaml:2: ${again}`]);
});

t.test('a key that stands in a map twice is refused', async (t) => {
  t.match(readJobFile(`${yaml('a')}persistent: true\npersistent: false\n`, 'j').problems, [
    { line: 7, sentence: /Map keys must be unique/ },
  ]);
});

t.test('what is not YAML says so, with the line', async (t) => {
  const cases: [what: string, text: string, line: number, why: RegExp][] = [
    ['a bracket that is not closed', '{"task_configuration": {"name": ', 1, /is not YAML: Flow map/],
    ['tabs that indent a block', 'task_configuration:\n\tname: a\n', 2, /is not YAML: Tabs are not allowed/],
    ['text that is not closed', `${yaml('a')}version: "1\n`, 7, /is not YAML: Missing closing "quote/],
  ];
  for (const [what, text, line, why] of cases) {
    const { entries, problems } = readJobFile(text, 'j');
    t.same(entries, [], what);
    t.equal(problems[0]?.line, line, what);
    t.match(problems[0]?.sentence, why, what);
  }
});

t.test('what is YAML and no job says what a job is', async (t) => {
  for (const text of ['hello', '3', '- hello\n', '[[]]']) {
    t.match(
      sentences(text),
      [/:1: expected a job, that is a map with task_configuration and deployment_layout$/],
      text,
    );
  }
  t.match(sentences('{}'), [/task_configuration: expected object, nothing is there$/]);
});

t.test('an empty file is told as one, however it is empty', async (t) => {
  for (const text of ['', '\n\n', '# nothing here\n', '---\n---\n', 'null', '[]', ',']) {
    t.same(sentences(text), ['jobs.yaml:1: is empty; a job file holds at least one job'], JSON.stringify(text));
  }
});

t.test('a job needs a place to run, or another job to follow', async (t) => {
  const nowhere = 'task_configuration: {name: a, command: x}\n';
  t.match(sentences(nowhere), [/^jobs\.yaml:1: deployment_layout: is missing: where is the job to run\?/]);
  t.match(sentences(`${nowhere}deployment_layout: {}\n`), [/deployment_layout: is missing/]);
  t.same(names(`${nowhere}linked_job: b\n`), ['a']);
});

t.test('aliases: followed, refused when nothing is behind them, and no bomb', async (t) => {
  t.match(readJobFile('a: *nope\n', 'f').problems, [{ sentence: /^f:1: is not YAML: Unresolved alias/ }]);
  const bomb =
    'a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n';
  t.match(readJobFile(bomb, 'f').problems, [{ sentence: /is not YAML: Excessive alias/ }]);
  const number =
    'version: &v 7\ntask_configuration: {name: a, command: *v}\ndeployment_layout: {local-a: {count: 1}}\n';
  t.ok(readJobFile(number, 'f').problems.some(({ sentence }) => /command: expected string, got 7/.test(sentence)));
});
