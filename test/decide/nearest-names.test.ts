import t from 'tap';
import { didYouMean, nearestNames } from '../../core/decide/words/nearest-names.ts';

t.test('what a person may have meant, nearest first', async (t) => {
  const cases: [what: string, name: string, known: string[], found: string[]][] = [
    ['a letter that is missing', 'ensure_live', ['name', 'ensure_alive', 'env'], ['ensure_alive']],
    ['a letter too many', 'commmand', ['command', 'cwd'], ['command']],
    ['two letters the wrong way round', 'comamnd', ['command', 'cwd'], ['command']],
    ['capitals do not count', 'PORTAL server', ['Portal Server', 'redis'], ['Portal Server']],
    ['the beginning of a long name', 'stop', ['stop_timeout', 'uid'], ['stop_timeout']],
    ['a name with something after it', 'redis-server', ['redis', 'portal'], ['redis']],
    ['the nearest comes first', 'backof', ['backup', 'backoff'], ['backoff', 'backup']],
    ['equally near ones by the alphabet', 'cat', ['cut', 'cot', 'cab'], ['cab', 'cot', 'cut']],
    ['three at the most', 'job', ['job4', 'job3', 'job2', 'job1'], ['job1', 'job2', 'job3']],
    ['nothing that is far off', 'zzzzzz', ['command', 'cpu', 'mem'], []],
    ['nothing where nothing is known', 'hello', [], []],
    ['the name itself, where it is known', 'hello', ['hello'], ['hello']],
  ];
  for (const [what, name, known, found] of cases) t.same(nearestNames(name, known), found, what);
});

t.test('known names may come from any iterable, and are told as they are written', async (t) => {
  t.same(nearestNames('portal server', new Map([['Portal Server', 1]]).keys()), ['Portal Server']);
  t.same(nearestNames('a1', new Set(['A1', 'b2'])).at(0), 'A1');
});

t.test('the question', async (t) => {
  t.equal(didYouMean('zzzzzz', ['command', 'cpu']), '', 'is not asked where nothing is near');
  t.equal(didYouMean('comand', ['command', 'cpu']), '; did you mean "command"?');
  t.equal(didYouMean('backof', ['backup', 'backoff']), '; did you mean "backoff" or "backup"?');
  t.equal(didYouMean('job', ['job1', 'job2', 'job3']), '; did you mean "job1", "job2" or "job3"?');
});
