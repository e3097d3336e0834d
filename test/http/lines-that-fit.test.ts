import t from 'tap';
import { linePattern } from '../../core/decide/read/line-pattern.ts';
import { linesThatFit } from '../../core/http/answers/lines-that-fit.ts';
import type { LogLine } from '../../core/machine/task/log-lines.ts';

const linesOf = (...texts: string[]): LogLine[] =>
  texts.map((text) => ({
    run: 1,
    stream: 'stdout',
    bytes: Buffer.from(text),
    cursor: { stdout: 0, stderr: 0 },
    at: null,
  }));

/** More work than one turn is for. */
function busy(): void {
  const until = performance.now() + 30;
  while (performance.now() < until);
}

/** Counts the turns of everybody else. */
function countTurns(t: { teardown(done: () => void): void }): () => number {
  let turns = 0;
  let next: NodeJS.Immediate;
  const count = (): void => {
    turns += 1;
    next = setImmediate(count);
  };
  next = setImmediate(count);
  t.teardown(() => clearImmediate(next));
  return () => turns;
}

const never = new AbortController().signal;

t.test('the lines that fit, in their order', async (t) => {
  const lines = linesOf('one error', 'two', 'three errors', '');
  const texts = async (grep: string): Promise<string[]> =>
    (await linesThatFit(lines, linePattern(grep), never)).map(({ bytes }) => bytes.toString());
  t.same(await texts('error'), ['one error', 'three errors']);
  t.same(await texts('/errors?$/'), ['one error', 'three errors']);
  t.same(await texts('/^t/'), ['two', 'three errors']);
});

t.test('others have a turn between slow lines, and within one', async (t) => {
  const turns = countTurns(t);
  const at: number[] = [];
  const slow = function* (): Generator<void, boolean> {
    for (let i = 0; i < 3; i++) {
      at.push(turns());
      busy();
      yield;
    }
    return true;
  };
  t.equal((await linesThatFit(linesOf('a', 'b'), slow, never)).length, 2);
  t.equal(new Set(at).size, 6, `a turn after each: ${at}`);
});

t.test('who does not wait any more is not looked for', async (t) => {
  const abort = new AbortController();
  let asked = 0;
  const slow = function* (): Generator<void, boolean> {
    asked += 1;
    abort.abort();
    busy();
    yield;
    return true;
  };
  await linesThatFit(linesOf('a', 'b', 'c'), slow, abort.signal);
  t.equal(asked, 1);
});
