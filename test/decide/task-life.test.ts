import fc from 'fast-check';
import t from 'tap';
import {
  newTaskLife,
  pauseBefore,
  stepTask,
  type TaskEffect,
  type TaskEvent,
  type TaskLife,
} from '../../core/decide/task/task-life.ts';
import { type TaskPhase, taskPhase } from '../../core/model/task.ts';
import { type TaskConfiguration, taskConfiguration } from '../../core/model/task-configuration.ts';

const T0 = 1_000_000;
const SECOND = 1000;

type Settings = Partial<
  Pick<TaskConfiguration, 'ensure_alive' | 'restart' | 'max_restarts' | 'allow_exit'> & {
    backoff: Partial<TaskConfiguration['backoff']>;
  }
>;

function rules(settings: Settings = {}): TaskConfiguration {
  return taskConfiguration.parse({ name: 'a', command: 'a', ...settings });
}

/** The pause before the first restart and before the second, and whatever else there is to say of pauses. */
function pauses(first: number, second: number, more: Settings['backoff'] = {}): NonNullable<Settings['backoff']> {
  return { first, then: second, ...more };
}

const start: TaskEvent = { kind: 'start', why: 'started by me' };
const stop: TaskEvent = { kind: 'stop', reason: 'user', why: 'stopped by me' };
const restart: TaskEvent = { kind: 'restart', reason: 'user', why: 'restarted by me' };
const deploy: TaskEvent = { kind: 'restart', reason: 'deploy', why: 'changed to version 2' };
const suspend: TaskEvent = { kind: 'suspend', why: 'the machine is being stopped' };
const spawned: TaskEvent = { kind: 'spawned' };
const breach: TaskEvent = { kind: 'breach', limit: 'mem', sentence: 'mem: 70 of 64 MB in use' };
const due: TaskEvent = { kind: 'due' };
const exited = (code: number): TaskEvent => ({ kind: 'ended', code, signal: null, livedMs: null });
const killed: TaskEvent = { kind: 'ended', code: null, signal: 'SIGKILL', livedMs: null };

/** A task in a phase, in its third run. */
function inPhase(phase: TaskPhase, more: Partial<TaskLife> = {}): TaskLife {
  const active = phase === 'starting' || phase === 'running' || phase === 'stopping';
  return {
    ...newTaskLife(T0),
    phase,
    reason: `the reason of ${phase}`,
    wanted: phase === 'stopped' ? 'stop' : 'run',
    run: 3,
    startedAt: active ? T0 : null,
    nextStartAt: phase === 'backoff' ? T0 + SECOND : null,
    ...more,
  };
}

interface Told {
  events: TaskEvent[];
  settings?: Settings;
  life?: TaskLife;
  /** Seconds between the events. */
  every?: number;
}

/** What becomes of a task through several events, and the effects of all of them. */
function tell({ events, settings = {}, life = newTaskLife(T0), every = 1 }: Told): {
  life: TaskLife;
  effects: TaskEffect[];
} {
  const effects: TaskEffect[] = [];
  let now = T0;
  let state = life;
  for (const event of events) {
    now += every * SECOND;
    const step = stepTask(state, event, rules(settings), now);
    state = step.life;
    effects.push(...step.effects);
  }
  return { life: state, effects };
}

t.test('what each event does in each phase', async (t) => {
  type Cell = [phase: TaskPhase, ...effects: TaskEffect[]] | 'nothing';
  const columns: [name: string, event: TaskEvent][] = [
    ['start', start],
    ['stop', stop],
    ['restart', restart],
    ['suspend', suspend],
    ['spawned', spawned],
    ['breach', breach],
    ['ended', exited(1)],
    ['due', due],
  ];
  const begins: Cell = ['starting', 'spawn'];
  const ends: Cell = ['stopping', 'terminate'];
  /** A breach of memory is not asked politely. */
  const dies: Cell = ['stopping', 'kill'];
  // In the order of the columns. The task may exit and is not kept alive: `ended` shows where it comes to rest.
  const table: Record<TaskPhase, Cell[]> = {
    stopped: [begins, 'nothing', begins, 'nothing', 'nothing', 'nothing', 'nothing', 'nothing'],
    starting: ['nothing', ends, ends, ends, ['running'], dies, ['failed'], 'nothing'],
    running: ['nothing', ends, ends, ends, 'nothing', dies, ['failed'], 'nothing'],
    stopping: [
      ['stopping'],
      ['stopping'],
      ['stopping'],
      ['stopping'],
      ['stopping', 'terminate'],
      'nothing',
      ['failed'],
      'nothing',
    ],
    backoff: [begins, ['stopped'], begins, ['stopped'], 'nothing', 'nothing', 'nothing', begins],
    exited: [begins, ['stopped'], begins, 'nothing', 'nothing', 'nothing', 'nothing', 'nothing'],
    failed: [begins, ['stopped'], begins, 'nothing', 'nothing', 'nothing', 'nothing', 'nothing'],
  };
  for (const phase of taskPhase.options) {
    const before = inPhase(phase);
    for (const [i, [name, event]] of columns.entries()) {
      const cell = table[phase][i];
      const step = stepTask(before, event, rules({ allow_exit: true }), T0 + SECOND);
      if (cell === 'nothing') {
        t.equal(step.life, before, `${phase}: ${name} changes nothing`);
        t.same(step.effects, [], `${phase}: ${name} does nothing`);
        t.equal(step.ended, undefined);
      } else {
        const [to, ...effects] = cell ?? [];
        t.equal(step.life.phase, to, `${phase}: ${name} leads to ${to}`);
        t.same(step.effects, effects, `${phase}: ${name} has the effects ${effects.join() || 'none'}`);
        t.equal(step.ended !== undefined, name === 'ended', `${phase}: ${name}: only an end is recorded as one`);
      }
      t.same(before, inPhase(phase), `${phase}: ${name} leaves the life it was given alone`);
    }
  }
});

t.test('whenever a run is started it has a number of its own, and its start is now', async (t) => {
  const cases: [name: string, life: TaskLife, event: TaskEvent, settings?: Settings][] = [
    ['start', inPhase('stopped'), start],
    ['restart at rest', inPhase('failed'), restart],
    ['after a pause', inPhase('backoff'), due],
    ['start during a pause', inPhase('backoff'), start],
    ['at once after a crash', inPhase('running'), exited(1), { ensure_alive: true }],
    ['after a restart', inPhase('stopping', { ending: { reason: 'user', sentence: 'r' } }), exited(0)],
  ];
  for (const [name, life, event, settings] of cases) {
    const step = stepTask(life, event, rules(settings), T0 + 7);
    t.match(
      step.life,
      { phase: 'starting', run: 4, startedAt: T0 + 7, since: T0 + 7, nextStartAt: null, ending: null },
      name,
    );
    t.same(step.effects, ['spawn'], name);
  }
});

t.test('a task that ends by itself', async (t) => {
  interface Case {
    what: string;
    event: TaskEvent;
    settings: Settings;
    phase: TaskPhase;
    /** What the task is said to be in that phase for. */
    reason: string | RegExp;
    /** Of the post-mortem. */
    because: string;
  }
  const cases: Case[] = [
    {
      what: 'exits with 0 and may',
      event: exited(0),
      settings: { allow_exit: true },
      phase: 'exited',
      reason: 'exited with code 0',
      because: 'exit',
    },
    {
      what: 'exits with 3 and may exit',
      event: exited(3),
      settings: { allow_exit: true },
      phase: 'failed',
      reason: 'exited with code 3',
      because: 'exit',
    },
    {
      what: 'is killed and may exit',
      event: killed,
      settings: { allow_exit: true },
      phase: 'failed',
      reason: 'ended by SIGKILL',
      because: 'signal',
    },
    {
      what: 'exits with 0 and is kept alive, though it may exit',
      event: exited(0),
      settings: { allow_exit: true, ensure_alive: true },
      phase: 'starting',
      reason: 'exited with code 0; started again at once',
      because: 'exit',
    },
    {
      what: 'is killed and kept alive',
      event: killed,
      settings: { ensure_alive: true },
      phase: 'starting',
      reason: 'ended by SIGKILL; started again at once',
      because: 'signal',
    },
    {
      what: 'exits with 0 and neither may nor is kept alive',
      event: exited(0),
      settings: {},
      phase: 'backoff',
      reason: 'exited with code 0; it may not exit; will be started again in 1 s',
      because: 'exit',
    },
    {
      what: 'has an end of which nobody knows the code',
      event: { kind: 'ended', code: null, signal: null, livedMs: null },
      settings: { allow_exit: true },
      phase: 'failed',
      reason: 'ended, its exit code is not known',
      because: 'exit',
    },
    {
      what: 'crashes with "restart", which is for limits only',
      event: exited(1),
      settings: { restart: true, allow_exit: true },
      phase: 'failed',
      reason: 'exited with code 1',
      because: 'exit',
    },
    {
      what: 'could not be started and is kept alive',
      event: { kind: 'ended', code: null, signal: null, because: 'spawn', why: 'there is no user 99', livedMs: null },
      settings: { ensure_alive: true },
      phase: 'starting',
      reason: 'there is no user 99; started again at once',
      because: 'spawn',
    },
    {
      what: 'could not be started and may exit',
      event: { kind: 'ended', code: null, signal: null, because: 'spawn', why: 'there is no user 99', livedMs: null },
      settings: { allow_exit: true },
      phase: 'failed',
      reason: 'there is no user 99',
      because: 'spawn',
    },
    {
      what: 'lost its shim, though it is not kept alive: that is not its own doing',
      event: { kind: 'ended', code: null, signal: null, because: 'shim', why: 'its shim died', livedMs: null },
      settings: { allow_exit: true },
      phase: 'starting',
      reason: 'its shim died; started again at once',
      because: 'shim',
    },
    {
      what: 'went with the machine, though it is not kept alive',
      event: {
        kind: 'ended',
        code: null,
        signal: null,
        because: 'reboot',
        why: 'the machine was restarted',
        livedMs: null,
      },
      settings: { allow_exit: true },
      phase: 'starting',
      reason: 'the machine was restarted; started again at once',
      because: 'reboot',
    },
  ];
  for (const { what, event, settings, phase, reason, because } of cases) {
    const step = stepTask(inPhase('running'), event, rules(settings), T0 + SECOND);
    t.equal(step.life.phase, phase, what);
    t.equal(step.life.reason, reason, what);
    t.equal(step.ended?.reason, because, what);
    t.equal(step.life.startedAt === null, phase !== 'starting', what);
  }
});

t.test('a task over a limit is ended, and then', async (t) => {
  const over = (settings: Settings): TaskLife =>
    tell({ events: [start, spawned, breach, killed], settings: { ...settings, backoff: { first: 0 } } }).life;
  await t.test('is started again where it says restart', async (t) => {
    t.match(over({ restart: true, allow_exit: true }), { phase: 'starting', run: 2, restarts: 1, totalRestarts: 1 });
  });
  await t.test('is started again where it is kept alive', async (t) => {
    t.match(over({ ensure_alive: true }), { phase: 'starting', run: 2 });
  });
  await t.test('has failed where it may exit, whatever its code was', async (t) => {
    t.match(over({ allow_exit: true }), { phase: 'failed', reason: 'mem: 70 of 64 MB in use' });
    const { life } = tell({ events: [start, spawned, breach, exited(0)], settings: { allow_exit: true } });
    t.equal(life.phase, 'failed');
  });
  await t.test('is started afresh after a pause where it is to run and has no such word', async (t) => {
    t.match(over({}), { phase: 'backoff', reason: /^mem: 70 of 64 MB in use; it may not exit/ });
  });
  await t.test('and its post-mortem names the limit, not the signal that ended it', async (t) => {
    const { life } = tell({ events: [start, spawned, breach] });
    t.same(life.ending, { reason: 'mem', sentence: 'mem: 70 of 64 MB in use' });
    const step = stepTask(life, killed, rules({ restart: true }), T0 + 9 * SECOND);
    t.same(step.ended, { reason: 'mem', sentence: 'mem: 70 of 64 MB in use' });
    t.equal(step.life.ending, null);
  });
  for (const limit of ['cpu', 'time'] as const) {
    await t.test(`the same goes for ${limit}`, async (t) => {
      const event: TaskEvent = { kind: 'breach', limit, sentence: `${limit}: too much` };
      const { life } = tell({ events: [start, spawned, event, killed], settings: { restart: true } });
      t.match(life, { phase: 'starting', reason: `${limit}: too much; started again at once` });
    });
  }
});

t.test('max_restarts', async (t) => {
  const quick = pauses(0, 0, { factor: 1, max: 0 });
  const crash = [spawned, exited(1)];
  await t.test('a task is started again as often as that, and has then failed', async (t) => {
    const settings = { ensure_alive: true, allow_exit: true, max_restarts: 2, backoff: quick };
    t.match(tell({ events: [start, ...crash, ...crash], settings }).life, { phase: 'starting', run: 3, restarts: 2 });
    const { life } = tell({ events: [start, ...crash, ...crash, ...crash], settings });
    t.match(life, { phase: 'failed', run: 3, totalRestarts: 2 });
    t.match(life.reason, /restarted 2 times, as often as max_restarts allows/);
  });
  await t.test('0 is not once', async (t) => {
    const settings = { ensure_alive: true, allow_exit: true, max_restarts: 0, backoff: quick };
    t.match(tell({ events: [start, ...crash], settings }).life, { phase: 'failed', run: 1, totalRestarts: 0 });
  });
  await t.test('-1 is for ever', async (t) => {
    const settings = { ensure_alive: true, allow_exit: true, max_restarts: -1, backoff: quick };
    const events = Array.from({ length: 50 }, () => [...crash, due]).flat();
    t.match(tell({ events: [start, ...events], settings }).life, { phase: 'starting', run: 51, restarts: 50 });
  });
  await t.test('where the task may not exit it is started afresh after a pause of a second or more', async (t) => {
    const settings = { ensure_alive: true, max_restarts: 1, backoff: quick };
    const { life } = tell({ events: [start, ...crash, ...crash], settings });
    t.match(life, { phase: 'backoff', restarts: 0, totalRestarts: 2, nextStartAt: T0 + 5 * SECOND + SECOND });
    t.match(life.reason, /it may not exit; will be started again in 1 s/);
    const afresh = stepTask(life, due, rules(settings), T0 + 6 * SECOND).life;
    t.match(stepTask(afresh, exited(1), rules(settings), T0 + 6 * SECOND + 1).life, { phase: 'starting', restarts: 1 });
  });
  await t.test('a stable uptime sets the count back', async (t) => {
    const settings = {
      ensure_alive: true,
      allow_exit: true,
      max_restarts: 1,
      backoff: { ...quick, reset_after: 60 },
    };
    const spent = inPhase('running', { restarts: 1, streak: 1 });
    t.equal(stepTask(spent, exited(1), rules(settings), T0 + 60 * SECOND - 1).life.phase, 'failed');
    t.match(stepTask(spent, exited(1), rules(settings), T0 + 60 * SECOND).life, { phase: 'starting', restarts: 1 });
  });
  await t.test('what a person asks for is not counted', async (t) => {
    const settings = { ensure_alive: true, allow_exit: true, max_restarts: 0, backoff: quick };
    const again = [spawned, restart, killed];
    const { life } = tell({ events: [start, ...again, ...again, ...again], settings });
    t.match(life, { phase: 'starting', run: 4, restarts: 0, totalRestarts: 0 });
  });
  await t.test('a start by hand gives a task that failed all its restarts again', async (t) => {
    const settings = { ensure_alive: true, allow_exit: true, max_restarts: 1, backoff: quick };
    const { life } = tell({ events: [start, ...crash, ...crash, start, ...crash], settings });
    t.match(life, { phase: 'starting', restarts: 1, streak: 1 });
  });
});

t.test('the pause before a start', async (t) => {
  await t.test('grows by the factor from the second on, up to max', async (t) => {
    const { backoff } = rules({ backoff: pauses(0.5, 2, { factor: 3, max: 30 }) });
    t.same(
      [0, 1, 2, 3, 4, 5, 500].map((streak) => pauseBefore(streak, backoff)),
      [0.5, 2, 6, 18, 30, 30, 30],
    );
  });
  await t.test('is by default none, then 1, 2, 4 … 300 seconds', async (t) => {
    const { backoff } = rules();
    t.same(
      [0, 1, 2, 3, 9, 10, 2000].map((streak) => pauseBefore(streak, backoff)),
      [0, 1, 2, 4, 256, 300, 300],
    );
  });
  await t.test('is kept, one crash after the other', async (t) => {
    const settings: Settings = { ensure_alive: true, backoff: pauses(0, 1, { factor: 2, max: 5 }) };
    let life = tell({ events: [start] }).life;
    let now = T0 + SECOND;
    const waited: number[] = [];
    for (let i = 0; i < 6; i++) {
      now += 10;
      life = stepTask(life, exited(1), rules(settings), now).life;
      waited.push(life.nextStartAt === null ? 0 : life.nextStartAt - now);
      if (life.nextStartAt === null) continue;
      t.match(life, { phase: 'backoff', startedAt: null });
      now = life.nextStartAt;
      life = stepTask(life, due, rules(settings), now).life;
    }
    t.same(waited, [0, 1000, 2000, 4000, 5000, 5000]);
    t.match(life, { phase: 'starting', run: 7, restarts: 6, streak: 6 });
  });
  await t.test('says for how long, and why', async (t) => {
    const life = inPhase('running', { streak: 3 });
    t.equal(
      stepTask(life, exited(7), rules({ ensure_alive: true }), T0 + 1).life.reason,
      'exited with code 7; will be started again in 4 s',
    );
  });
  await t.test('begins anew after an uptime of reset_after, and not before', async (t) => {
    const settings: Settings = { ensure_alive: true, backoff: pauses(0, 1, { reset_after: 10 }) };
    const life = inPhase('running', { streak: 4, restarts: 4, totalRestarts: 9 });
    t.match(stepTask(life, exited(1), rules(settings), T0 + 10 * SECOND - 1).life, {
      phase: 'backoff',
      streak: 5,
      restarts: 5,
    });
    t.match(stepTask(life, exited(1), rules(settings), T0 + 10 * SECOND).life, {
      phase: 'starting',
      streak: 1,
      restarts: 1,
      totalRestarts: 10,
    });
  });
  await t.test('with reset_after 0 every run was stable: each start has the first pause', async (t) => {
    const settings: Settings = { ensure_alive: true, backoff: pauses(0, 5, { reset_after: 0 }) };
    const { life } = tell({ events: [start, exited(1), exited(1), exited(1)], settings, every: 0 });
    t.match(life, { phase: 'starting', run: 4, streak: 1 });
  });
});

t.test('a stop by hand', async (t) => {
  await t.test('is no crash, even of a task that is kept alive', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, stop, killed], settings: { ensure_alive: true } });
    t.match(life, { phase: 'stopped', wanted: 'stop', reason: 'stopped by me', restarts: 0, totalRestarts: 0 });
    t.same(effects, ['spawn', 'terminate']);
  });
  await t.test('while it is being started ends the run that is under way', async (t) => {
    const { life, effects } = tell({ events: [start, stop, killed], settings: { ensure_alive: true } });
    t.match(life, { phase: 'stopped', wanted: 'stop', run: 1 });
    t.same(effects, ['spawn', 'terminate']);
  });
  await t.test('while it is being started holds though the run comes to life after it', async (t) => {
    const { life } = tell({ events: [start, stop, spawned], settings: { ensure_alive: true } });
    t.match(life, { phase: 'stopping', wanted: 'stop' });
  });
  await t.test('during a pause calls off the start', async (t) => {
    const { life, effects } = tell({ life: inPhase('backoff'), events: [stop, due] });
    t.match(life, { phase: 'stopped', wanted: 'stop', nextStartAt: null, run: 3 });
    t.same(effects, []);
  });
  await t.test('of a task that is being restarted leaves it stopped', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, restart, stop, killed] });
    t.match(life, { phase: 'stopped', wanted: 'stop', reason: 'stopped by me' });
    t.same(effects, ['spawn', 'terminate']);
  });
  await t.test('of a task that is over a limit leaves it stopped', async (t) => {
    const { life } = tell({ events: [start, spawned, breach, stop, killed], settings: { restart: true } });
    t.match(life, { phase: 'stopped', wanted: 'stop' });
  });
  await t.test('is taken back by a start before the run has ended', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, stop, start, killed] });
    t.match(life, { phase: 'starting', wanted: 'run', run: 2, restarts: 0 });
    t.same(effects, ['spawn', 'terminate', 'spawn']);
  });
});

t.test('a restart by hand', async (t) => {
  await t.test('ends the run and starts another at once, without counting it', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, restart, exited(0)], settings: { allow_exit: true } });
    t.match(life, { phase: 'starting', run: 2, restarts: 0, streak: 0, reason: 'restarted by me' });
    t.same(effects, ['spawn', 'terminate', 'spawn']);
  });
  await t.test('while it is being started', async (t) => {
    const { life, effects } = tell({ events: [start, restart, killed] });
    t.match(life, { phase: 'starting', run: 2 });
    t.same(effects, ['spawn', 'terminate', 'spawn']);
  });
  await t.test('while it is being stopped starts it again when it has ended', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, stop, restart, killed] });
    t.match(life, { phase: 'starting', wanted: 'run', run: 2 });
    t.same(effects, ['spawn', 'terminate', 'spawn']);
  });
  await t.test('for a new version is told as that', async (t) => {
    const { life } = tell({ events: [start, spawned, deploy] });
    const step = stepTask(life, killed, rules(), T0 + 9 * SECOND);
    t.same(step.ended, { reason: 'deploy', sentence: 'changed to version 2' });
    t.match(step.life, { phase: 'starting', reason: 'changed to version 2' });
  });
  await t.test('does not wait for a pause to be over', async (t) => {
    const { life, effects } = tell({ life: inPhase('backoff', { streak: 9 }), events: [restart] });
    t.match(life, { phase: 'starting', streak: 0, nextStartAt: null });
    t.same(effects, ['spawn']);
  });
});

t.test('a machine that is being stopped', async (t) => {
  await t.test('ends its tasks and remembers that they are to run', async (t) => {
    const { life, effects } = tell({ events: [start, spawned, suspend, killed], settings: { ensure_alive: true } });
    t.match(life, {
      phase: 'stopped',
      suspended: true,
      wanted: 'run',
      restarts: 0,
      reason: 'the machine is being stopped',
    });
    t.same(effects, ['spawn', 'terminate']);
  });
  await t.test('does so while one is being started, or restarted, or is over a limit', async (t) => {
    for (const before of [[start], [start, spawned, restart], [start, spawned, breach]]) {
      const { life } = tell({ events: [...before, suspend, killed], settings: { ensure_alive: true } });
      t.match(life, { phase: 'stopped', suspended: true, wanted: 'run', run: 1 });
    }
  });
  await t.test('calls off a start that is waited for', async (t) => {
    const { life, effects } = tell({ life: inPhase('backoff'), events: [suspend, due] });
    t.match(life, { phase: 'stopped', suspended: true, wanted: 'run', nextStartAt: null });
    t.same(effects, []);
  });
  await t.test('leaves alone what is at rest: it is not started afterwards', async (t) => {
    for (const phase of ['stopped', 'exited', 'failed'] as const) {
      t.equal(tell({ life: inPhase(phase), events: [suspend] }).life.suspended, false, phase);
    }
  });
  await t.test('has its tasks as new when it starts them again', async (t) => {
    const { life } = tell({ life: inPhase('stopped', { suspended: true, wanted: 'run', streak: 4 }), events: [start] });
    t.match(life, { phase: 'starting', suspended: false, streak: 0, restarts: 0 });
  });
});

t.test('a pause is a number for ever, whatever the factor has grown to', async (t) => {
  const { backoff } = taskConfiguration.parse({ name: 'a', command: 'a', backoff: { then: 0 } });
  t.equal(pauseBefore(9, backoff), 0);
  t.equal(pauseBefore(2000, backoff), 0.1, 'a task that only spins is slowed down');
});

t.test('what is on its way out', async (t) => {
  const rules = taskConfiguration.parse({ name: 'a', command: 'a' });
  const stopping = (change: Partial<TaskLife>): TaskLife => ({
    ...newTaskLife(0),
    phase: 'stopping',
    wanted: 'run',
    run: 1,
    startedAt: 0,
    ...change,
  });
  const stopped = stepTask(stopping({ wanted: 'stop' }), { kind: 'suspend', why: 'down' }, rules, 1);
  t.equal(stopped.life.suspended, false, 'by hand: it stays stopped when the machine starts again');
  const late = stepTask(stopping({ wanted: 'stop' }), { kind: 'spawned' }, rules, 1);
  t.same(late.effects, ['terminate'], 'and came to life only now: it is told again');
  const breach = { reason: 'mem', sentence: 'too much' } as const;
  const started = stepTask(stopping({ ending: breach }), { kind: 'start', why: 'by hand' }, rules, 1);
  t.same(started.life.ending, breach, 'by a breach: a start does not hide why');
});

t.test('a reboot is nobody’s fault: it is not held against max_restarts', async (t) => {
  const rules = taskConfiguration.parse({ name: 'a', command: 'a', max_restarts: 0, allow_exit: true });
  const running: TaskLife = { ...newTaskLife(0), phase: 'running', wanted: 'run', run: 1, startedAt: 0 };
  const { life } = stepTask(
    running,
    { kind: 'ended', code: null, signal: null, because: 'reboot', why: 'reboot', livedMs: null },
    rules,
    1,
  );
  t.equal(life.phase, 'starting');
  t.equal(life.restarts, 0);
});

t.test('what has lived for its time is asked politely', async (t) => {
  const rules = taskConfiguration.parse({ name: 'a', command: 'a' });
  const running: TaskLife = { ...newTaskLife(0), phase: 'running', wanted: 'run', run: 1, startedAt: 0 };
  t.same(stepTask(running, { kind: 'breach', limit: 'time', sentence: 'time' }, rules, 1).effects, ['terminate']);
});

t.test('a run that is unhealthy', async (t) => {
  const unhealthy: TaskEvent = { kind: 'unhealthy', sentence: 'health: answered 503 (3 of 3 failures)' };
  const none = pauses(0, 0, { factor: 1, max: 0 });
  await t.test('is ended politely where there is one, and nowhere else', async (t) => {
    for (const phase of taskPhase.options) {
      const before = inPhase(phase);
      const step = stepTask(before, unhealthy, rules(), T0 + SECOND);
      if (phase === 'starting' || phase === 'running') {
        t.match(step.life, { phase: 'stopping', wanted: 'run', reason: unhealthy.sentence }, phase);
        t.same(step.effects, ['terminate'], phase);
      } else {
        t.equal(step.life, before, phase);
        t.same(step.effects, [], phase);
      }
      t.equal(step.ended, undefined, phase);
    }
  });
  await t.test('is started again whatever the task may do, and however it took its end', async (t) => {
    for (const settings of [{}, { allow_exit: true }, { restart: false }, { ensure_alive: true }]) {
      for (const end of [exited(0), exited(1), killed]) {
        const { life, effects } = tell({ events: [start, spawned, unhealthy, end], settings });
        t.match(life, { phase: 'starting', run: 2, restarts: 1, totalRestarts: 1 });
        t.equal(life.reason, `${unhealthy.sentence}; started again at once`);
        t.same(effects, ['spawn', 'terminate', 'spawn']);
      }
    }
  });
  await t.test('has a post-mortem that says so, and not the signal that ended it', async (t) => {
    const { life } = tell({ events: [start, spawned, unhealthy] });
    const step = stepTask(life, killed, rules(), T0 + 9 * SECOND);
    t.same(step.ended, { reason: 'health', sentence: unhealthy.sentence });
    t.equal(step.life.ending, null);
  });
  await t.test('is counted against max_restarts', async (t) => {
    const settings = { allow_exit: true, max_restarts: 2, backoff: none };
    const ill = [spawned, unhealthy, killed];
    t.match(tell({ events: [start, ...ill, ...ill], settings }).life, { phase: 'starting', run: 3, restarts: 2 });
    const { life } = tell({ events: [start, ...ill, ...ill, ...ill], settings });
    t.match(life, { phase: 'failed', run: 3 });
    t.match(life.reason, /^health: .*restarted 2 times, as often as max_restarts allows/);
  });
  await t.test('has failed in the end though it exits with 0 when asked to', async (t) => {
    const settings = { allow_exit: true, max_restarts: 0 };
    t.equal(tell({ events: [start, spawned, unhealthy, exited(0)], settings }).life.phase, 'failed');
  });
  await t.test('waits longer and longer', async (t) => {
    const settings: Settings = { backoff: pauses(0, 1, { factor: 2, max: 3 }) };
    let life = tell({ events: [start] }).life;
    let now = T0 + SECOND;
    const waited: number[] = [];
    for (let i = 0; i < 5; i++) {
      for (const event of [spawned, unhealthy, killed]) life = stepTask(life, event, rules(settings), ++now).life;
      waited.push(life.nextStartAt === null ? 0 : life.nextStartAt - now);
      if (life.nextStartAt === null) continue;
      now = life.nextStartAt;
      life = stepTask(life, due, rules(settings), now).life;
    }
    t.same(waited, [0, 1000, 2000, 3000, 3000]);
  });
  await t.test('and is stopped by hand meanwhile stays stopped', async (t) => {
    const { life } = tell({ events: [start, spawned, unhealthy, stop, killed] });
    t.match(life, { phase: 'stopped', wanted: 'stop' });
  });
  await t.test('and is restarted by hand meanwhile is not counted', async (t) => {
    const { life } = tell({ events: [start, spawned, unhealthy, restart, killed], settings: { max_restarts: 0 } });
    t.match(life, { phase: 'starting', run: 2, restarts: 0 });
  });
});

t.test('a run with more processes than it may have', async (t) => {
  const pids: TaskEvent = { kind: 'breach', limit: 'pids', sentence: 'pids: 20 of 16 processes and threads' };
  const after = (settings: Settings): TaskLife => tell({ events: [start, spawned, pids, killed], settings }).life;
  t.same(tell({ events: [start, spawned, pids] }).effects, ['spawn', 'kill'], 'is not asked: it would fork meanwhile');
  t.match(after({ restart: true, allow_exit: true }), { phase: 'starting', run: 2, restarts: 1 });
  t.match(after({ allow_exit: true }), { phase: 'failed', run: 1, reason: pids.sentence });
  t.match(after({}), { phase: 'backoff', reason: /^pids: .*; it may not exit/ });
});

t.test('a run that the kernel ended for a limit is over that limit, though nobody was asked before', async (t) => {
  for (const limit of ['mem', 'pids', 'cpu'] as const) {
    const event: TaskEvent = {
      kind: 'ended',
      code: null,
      signal: 'SIGKILL',
      because: limit,
      why: `${limit}: the kernel says so`,
      livedMs: 5,
    };
    const again = stepTask(inPhase('running'), event, rules({ restart: true, allow_exit: true }), T0 + SECOND);
    t.same(again.ended, { reason: limit, sentence: `${limit}: the kernel says so` });
    t.match(again.life, { phase: 'starting', run: 4, restarts: 1 }, `${limit}: restart: true starts it again`);
    const failed = stepTask(inPhase('running'), event, rules({ allow_exit: true }), T0 + SECOND);
    t.match(
      failed.life,
      { phase: 'failed', reason: `${limit}: the kernel says so` },
      `${limit}: and nothing else does`,
    );
    const kept = stepTask(inPhase('running'), event, rules({ ensure_alive: true }), T0 + SECOND);
    t.equal(kept.life.phase, 'starting', `${limit}: but being kept alive`);
    const ending = { reason: 'user', sentence: 'stopped by me' } as const;
    const stopped = stepTask(inPhase('stopping', { wanted: 'stop', ending }), event, rules(), T0 + SECOND);
    t.match(stopped.life, { phase: 'stopped', reason: 'stopped by me' }, `${limit}: what was being stopped is stopped`);
  }
});

t.test('how long a run lived is told by a clock that nobody sets', async (t) => {
  const settings: Settings = {
    ensure_alive: true,
    allow_exit: true,
    max_restarts: 5,
    backoff: pauses(0, 1, { reset_after: 60 }),
  };
  const spent = inPhase('running', { restarts: 5, streak: 5 });
  const endedAfter = (livedMs: number): TaskEvent => ({ kind: 'ended', code: 1, signal: null, livedMs });
  const DAY = 86_400 * SECOND;
  for (const [name, jump] of [
    ['does not jump', 0],
    ['jumps a day ahead', DAY],
    ['jumps a day back', -DAY],
  ] as const) {
    const short = stepTask(spent, endedAfter(60 * SECOND - 1), rules(settings), T0 + SECOND + jump).life;
    t.match(short, { phase: 'failed', restarts: 5, streak: 5 }, `the other ${name}: a short run is no stable uptime`);
    const long = stepTask(spent, endedAfter(60 * SECOND), rules(settings), T0 + SECOND + jump).life;
    t.match(long, { phase: 'starting', restarts: 1, streak: 1 }, `the other ${name}: a long one is`);
  }
  await t.test('so whatever the time of day is, the task does the same', async () => {
    const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
    fc.assert(
      fc.property(time, time, fc.integer({ min: 0, max: 200_000 }), fc.nat(12), (now, other, livedMs, streak) => {
        const life = inPhase('running', { streak, restarts: streak });
        const [one, two] = [now, other].map((at) => {
          const { life: after, effects } = stepTask(life, endedAfter(livedMs), rules(settings), at);
          const pause = after.nextStartAt === null ? null : after.nextStartAt - at;
          return { phase: after.phase, reason: after.reason, restarts: after.restarts, pause, effects };
        });
        return JSON.stringify(one) === JSON.stringify(two);
      }),
    );
  });
});
