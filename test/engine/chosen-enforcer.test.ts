import t from 'tap';
import type { Enclosure, LimitEnforcer, Limits } from '../../core/contracts/limit-enforcer.ts';
import { ChosenEnforcer } from '../../core/engine/chosen-enforcer.ts';
import { CerebroError } from '../../core/errors.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

interface Behaviour {
  works?: string;
  starts?: string;
  adoptsAny?: boolean;
}

/** An enforcer whose enclosures say who built them, and which notes what is done to it. */
function enforcer(name: string, { works, starts, adoptsAny = false }: Behaviour, done: string[]): LimitEnforcer {
  return {
    name,
    holds: { cpu: 'hard', mem: 'hard', pids: 'hard', io: 'none' },
    adoptsAny,
    probe: async () => (works === undefined ? { works: true } : { works: false, sentence: works }),
    start: async () => {
      done.push(`${name} starts`);
      if (starts !== undefined) throw new CerebroError('unsupported', starts);
    },
    stop: async () => void done.push(`${name} stops`),
    enclose: async () => ({ enforcer: name }) as Enclosure,
  };
}

const LIMITS = {} as Limits;
const run = (began?: string): Parameters<LimitEnforcer['enclose']>[0] => ({
  marker: 'm',
  task: 'web',
  ...(began !== undefined && { adopted: { enforcer: began, handle: null } }),
});

t.test('the first that works is taken; why the others were not is said', async (t) => {
  const done: string[] = [];
  const chosen = new ChosenEnforcer(
    [
      enforcer('kernel', { works: 'the host has none' }, done),
      enforcer('half', { starts: 'the group is taken' }, done),
      enforcer('polls', {}, done),
    ],
    'auto',
    silentLogger,
  );
  await chosen.start();
  t.equal(chosen.name, 'polls');
  t.same(chosen.passedOver, ['kernel: the host has none', 'half: the group is taken']);
  t.same(done, ['kernel stops', 'half starts', 'half stops', 'polls starts'], 'what was begun by halves is cleared up');
  await chosen.stop();
  t.equal(done.at(-1), 'polls stops');
});

t.test('a run that another began goes on with that one, or with one that can take up any', async (t) => {
  const done: string[] = [];
  const all = [
    enforcer('kernel', {}, done),
    enforcer('gone', { works: 'no more' }, done),
    enforcer('polls', { adoptsAny: true }, done),
  ];
  const chosen = new ChosenEnforcer(all, 'auto', silentLogger);
  await chosen.start();
  t.equal((await chosen.enclose(run(), LIMITS)).enforcer, 'kernel');
  t.equal((await chosen.enclose(run('kernel'), LIMITS)).enforcer, 'kernel');
  t.equal((await chosen.enclose(run('polls'), LIMITS)).enforcer, 'polls');
  t.equal((await chosen.enclose(run('gone'), LIMITS)).enforcer, 'polls');
  t.equal((await chosen.enclose(run('of an older version'), LIMITS)).enforcer, 'polls');
  await chosen.stop();
  t.same(
    done.filter((what) => what.endsWith('starts')),
    ['kernel starts', 'polls starts'],
    'each is started once',
  );
});

t.test('one that many tasks ask for at the same moment is started once', async (t) => {
  const done: string[] = [];
  const all = [enforcer('polls', {}, done), enforcer('kernel', {}, done), enforcer('half', { starts: 'taken' }, done)];
  const chosen = new ChosenEnforcer(all, 'polls', silentLogger);
  await chosen.start();
  const many = await Promise.all([1, 2, 3].map(() => chosen.enclose(run('kernel'), LIMITS)));
  t.same(
    many.map((enclosure) => enclosure.enforcer),
    ['kernel', 'kernel', 'kernel'],
  );
  await Promise.all([1, 2, 3].map(() => chosen.enclose(run('half'), LIMITS)));
  t.same(done, ['polls starts', 'kernel starts', 'half starts', 'half stops']);
  await chosen.stop();
});

t.test('one whose look at the host throws is passed over', async (t) => {
  const broken = { ...enforcer('kernel', {}, []), probe: () => Promise.reject(new Error('/proc is not there')) };
  const chosen = new ChosenEnforcer([broken, enforcer('polls', {}, [])], 'auto', silentLogger);
  await chosen.start();
  t.equal(chosen.name, 'polls');
  t.same(chosen.passedOver, ['kernel: /proc is not there']);
  await chosen.stop();
});

t.test('one that is named and does not work, or is not there, is said so', async (t) => {
  const all = [enforcer('kernel', { works: 'the host has none' }, []), enforcer('polls', {}, [])];
  await t.rejects(new ChosenEnforcer(all, 'kernel', silentLogger).start(), {
    code: 'unsupported',
    message: /no limit enforcer works here: kernel: the host has none/,
  });
  await t.rejects(new ChosenEnforcer(all, 'kernle', silentLogger).start(), {
    code: 'invalid',
    message: /there is no limit enforcer "kernle"; did you mean "kernel"\?.* kernel, polls/,
  });
});
