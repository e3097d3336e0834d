import t from 'tap';
import { readTaskFile, writeTaskFile } from '../../core/decide/read/read-task-file.ts';
import { taskConfiguration } from '../../core/model/task-configuration.ts';

const problems = (text: string): string => readTaskFile(text, 'tasks.yaml').problems.join('\n');

t.test('one task, a list, or several documents; what is written is read again', async (t) => {
  const one = 'name: web\ncommand: exec sleep 1\ncpu: .5 # half\n';
  for (const [text, names] of [
    [one, 'web'],
    [`- {name: a, command: x}\n- {name: b, command: y}\n`, 'a,b'],
    [`${one}---\n[{name: b, command: y}]\n`, 'web,b'],
    ['{"name": "web", "command": "x"},', 'web'],
    ['[]', ''],
  ] as const) {
    const reading = readTaskFile(text, 'f');
    t.same(reading.problems, [], text);
    t.equal(reading.tasks.map(({ name }) => name).join(), names);
  }
  const tasks = [
    taskConfiguration.parse({
      name: 'Portal Server',
      command: 'echo "# not a comment"',
      backoff: { first: 2 },
      env: { A: 'b: c' },
      logs: { max_bytes: '1MB' },
    }),
    taskConfiguration.parse({ name: 'b', command: 'x', limits: { io: { device: '/dev/sda', rbps: '1MB' } } }),
  ];
  const text = writeTaskFile(tasks);
  t.same(readTaskFile(text, 'f'), { tasks, problems: [] });
  t.notMatch(text, /stop_timeout|factor/, 'defaults are left out');
  t.same(readTaskFile(writeTaskFile([]), 'f'), { tasks: [], problems: [] });
});

t.test('what is wrong is said with line, key, what was expected and the nearest key', async (t) => {
  for (const [text, expected] of [
    ['', /tasks\.yaml:1: is empty; a file of no tasks at all says \[\]/],
    ['# nothing\n', /is empty/],
    ['- {name: a, command: x}\n- {name: b, comand: x}', /tasks\.yaml:2: comand: unknown key; did you mean "command"/],
    ['- name: a\n  command: x\n  cpu: lots', /tasks\.yaml:3: cpu: expected number, got "lots"/],
    ['- name: a', /tasks\.yaml:1: command: expected string, nothing is there/],
    [
      '- {name: a, command: x}\n- {name: a, command: y}',
      /tasks\.yaml:2: name: "a" stands in this file twice, at line 1/,
    ],
    ['- a\n', /expected a task, that is a map/],
    ['a: [', /is not YAML/],
    ['- &x [*x, *x]\n', /expected a task/],
    ['name: a\ncommand: x\nbackoff: {frist: 1}', /backoff\.frist: unknown key; did you mean "first"/],
  ] as const)
    t.match(problems(text), expected, text);
});
