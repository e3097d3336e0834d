import t from 'tap';
import { ProgressBoard } from '../../core/cluster/copies/progress-board.ts';
import { copyCondition } from '../../core/decide/copy-state.ts';
import { progressSentence } from '../../core/decide/words/progress-sentence.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { NewEvent } from '../../core/model/event.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { Progress } from '../../core/model/progress.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const AT = Date.parse('2026-01-01T12:01:07Z');
const REFUSED = '127.0.0.1:2201 cannot be reached by SSH: nothing listens there';

function board() {
  const machines = new Map<string, MachineRecord>();
  const told: string[] = [];
  let shown = 0;
  let figures = 0;
  let say: (machine: string, progress: Progress) => void = () => undefined;
  const made = new ProgressBoard({
    machines,
    providers: [
      {
        onProgress: (listener) => {
          say = listener;
        },
      },
    ],
    logger: silentLogger,
    tell: async (events: NewEvent[]) => {
      told.push(...events.map(({ level, message }) => `${level}: ${message}`));
    },
    onChange: (what) => {
      shown += 1;
      if (what === 'figures') figures += 1;
    },
  });
  made.start();
  const machine = (id: string, state: MachineRecord['state']): void => {
    machines.set(id, { id, state, lastError: null } as MachineRecord);
  };
  const settled = (): Promise<void> => new Promise(setImmediate);
  return {
    board: made,
    machines,
    told,
    machine,
    settled,
    say: (...of: Parameters<typeof say>) => say(...of),
    shown: () => shown,
    figures: () => figures,
  };
}

const step = (text: string | null, percent: number | null = null, failure: Progress['failure'] = null): Progress => ({
  step: text,
  percent,
  failure,
});
const refused = (attempts: number, sentence = REFUSED): NonNullable<Progress['failure']> => ({
  sentence,
  attempts,
  at: AT + (attempts - 4) * 1000,
});

t.test('a machine that waits says why, with which try it was, and when', async (t) => {
  const { board: it, machines, machine, say } = board();
  machine('m-1', 'booting');
  const copy = {
    id: 'web.1',
    machine: 'm-1',
    wanted: 'run',
    version: 1,
    taskVersion: null,
    lastError: null,
  } as CopyRecord;
  const reason = (): string => copyCondition(copy, machines.get('m-1'), undefined, null, it.machine('m-1')).reason;
  t.equal(reason(), 'waits for machine m-1, which is booting');
  say('m-1', step(null, null, refused(4)));
  t.equal(reason(), `waits for machine m-1, which is booting: ${REFUSED}, 4th try at 12:01:07 UTC`);
  say('m-1', step('node-v20 is brought there, 38 MB', 43));
  t.equal(reason(), 'waits for machine m-1, which is booting: node-v20 is brought there, 38 MB: 43 %');
  machine('m-1', 'ready');
  t.equal(it.machine('m-1'), null, 'of one that is ready there is nothing to say');
});

t.test('the timeline has each step and each reason once; the page has all of it', async (t) => {
  const { machine, say, told, shown, figures, settled } = board();
  machine('m-1', 'booting');
  for (let percent = 0; percent <= 100; percent++) say('m-1', step('node-v20 is brought there', percent));
  t.equal(shown(), 101);
  t.equal(figures(), 100, 'another percent is only a figure');
  say('m-1', step('node-v20 is brought there', 100));
  t.equal(shown(), 101, 'what says nothing new is not shown again');
  for (let attempts = 1; attempts <= 30; attempts++)
    say('m-1', step(null, null, refused(attempts, attempts % 2 === 0 ? REFUSED : 'it broke off the connection')));
  await settled();
  t.same(told, [
    'info: m-1: node-v20 is brought there',
    'warn: m-1 is booting: it broke off the connection; it is tried again',
    `warn: m-1 is booting: ${REFUSED}; it is tried again`,
  ]);
});

t.test('sentences that never come twice are bounded, and so are machines', async (t) => {
  const { machines, machine, say, told, settled } = board();
  machine('m-1', 'booting');
  for (let attempts = 1; attempts <= 500; attempts++)
    say('m-1', step(null, null, refused(attempts, `reason ${attempts}`)));
  await settled();
  t.equal(told.length, 50);
  machines.delete('m-1');
  say('m-1', step('too late'));
  await settled();
  t.equal(told.length, 50, 'a machine that is gone says nothing');
});

t.test('where the provider has nothing to say, it is the line to the machine sitter that tells', async (t) => {
  const { board: it, machine, told, settled } = board();
  machine('m-1', 'booting');
  it.noteLine('m-1', refused(1, 'm-1 cannot be reached'));
  await settled();
  t.same(told, [], 'one that is just starting is not heard at first');
  t.match(it.machine('m-1'), { failure: { sentence: 'm-1 cannot be reached' } });
  it.noteLine('m-1', refused(10, 'm-1 cannot be reached'));
  it.noteLine('m-1', refused(11, 'm-1 cannot be reached'));
  await settled();
  t.same(told, ['warn: m-1 is booting: m-1 cannot be reached; it is tried again']);
  it.noteLine('m-1', null);
  t.equal(it.machine('m-1'), null);
});

t.test('how far a recipe is', async (t) => {
  const { board: it, shown } = board();
  it.noteCopy('web.1', step('web-1.0 is sent', 7));
  t.same(it.copy('web.1'), step('web-1.0 is sent', 7));
  it.noteCopy('web.1', null);
  it.noteCopy('web.1', null);
  t.equal(it.copy('web.1'), null);
  t.equal(shown(), 2);
});

t.test('tries are counted as people do', async (t) => {
  for (const [attempts, word] of [
    [1, '1st'],
    [2, '2nd'],
    [3, '3rd'],
    [4, '4th'],
    [11, '11th'],
    [12, '12th'],
    [21, '21st'],
    [113, '113th'],
  ] as const)
    t.ok(progressSentence(step(null, null, refused(attempts)))?.includes(`, ${word} try at `), word);
  t.equal(
    progressSentence(step('it is looked at over SSH', null, refused(2, 'no'))),
    'it is looked at over SSH (before: no, 2nd try at 12:01:05 UTC)',
  );
});
