import fc from 'fast-check';
import t from 'tap';
import { linePattern as pausing } from '../../core/decide/read/line-pattern.ts';

/** Without a pause. */
const linePattern = (text: string): ((line: string) => boolean) => {
  const pattern = pausing(text);
  return (line) => {
    const search = pattern(line);
    for (;;) {
      const { done, value } = search.next();
      if (done) return value;
    }
  };
};

t.test('plain text is looked for as it stands', async (t) => {
  t.ok(linePattern('a.b')('xa.by'));
  t.notOk(linePattern('a.b')('axb'));
  t.ok(linePattern('/')('a/b'));
  t.ok(linePattern('/usr/x')('/usr/x'), 'what only begins with a slash is a path');
});

t.test('an expression matches as JavaScript would', async (t) => {
  const expressions = [
    'a', 'abc', 'a.c', '^ab', 'bc$', '^$', '^abc$', 'a|b', '^(a|bc)+$', 'a*b', 'a+?b', 'a??b', '[abc]x', '[^abc]x',
    '[a-c]{2}', '[a-]b', 'x{2,3}y', 'x{2,}y', '^x{0,1}$', '\\d+', '\\w\\s\\S', '\\D', '(?:ab)*c', '\\.', '\\[a', 'a{b',
    '[]a]', '(a|)b', '(a*)*b', '((a+)+)+$', '\\t', '[\\d.]+x', 'a]', 'é', '(^a|b$)', '[^\\s]+$', 'x{0}y',
  ]; // biome-ignore format: a list
  const lines = fc.oneof(
    fc.array(fc.constantFrom(...'abcxy.[{]- \t1é'), { maxLength: 12 }).map((chars) => chars.join('')),
    fc.string({ maxLength: 20 }),
  );
  for (const source of expressions) {
    // In JavaScript "[]" is nothing at all; here, as in grep, "]" may stand first in a set.
    const expected = source === '[]a]' ? /[\]a]/s : new RegExp(source, 's');
    const found = linePattern(`/${source}/`);
    fc.assert(
      fc.property(lines, (line) => found(line) === expected.test(line)),
      { numRuns: 200 },
    );
  }
  t.ok(linePattern('/ERROR: [a-z]+/i')('xx error: DISK full'));
  t.notOk(linePattern('/ERROR/')('error'));
});

t.test('no expression takes exponential time, or without end much memory', async (t) => {
  const line = `${'a'.repeat(16_000)}!`;
  for (const source of ['(a+)+$', '(a|aa)+$', '^(a|a?)+$', '(.*a){20}b', '(a*)*b', '([a-z]+)*=']) {
    const found = linePattern(`/${source}/`);
    for (let i = 0; i < 3; i++) t.notOk(found(line), source);
  }
  for (const source of ['(a{1000}){1000}', '((((){1000}){1000}){1000}){1000}', 'a{1000}b{1000}'])
    t.throws(() => linePattern(`/${source}/`), { code: 'invalid', message: /too large/ }, source);
});

t.test('what leads to ever new states is matched as JavaScript would, and pauses', async (t) => {
  // None that JavaScript takes exponential time for.
  for (const source of ['a.{90}b', '[ab].{70}c$', '(a|b).{50}a{3}']) {
    const found = linePattern(`/${source}/`);
    const expected = new RegExp(source, 's');
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...'abc'), { minLength: 600, maxLength: 1500 }),
        fc.constantFrom('', 'a'.repeat(60), 'b'.repeat(100)),
        (chars, end) => found(chars.join('') + end) === expected.test(chars.join('') + end),
      ),
      { numRuns: 30 },
    );
  }
  const search = pausing('/[aeiou].{900}x/')('aeiobcdu'.repeat(2000));
  let pauses = 0;
  while (!search.next().done) pauses += 1;
  t.ok(pauses > 50, `${pauses} pauses within one line`);
});

t.test('what is not understood is refused, with the place', async (t) => {
  const wrong: [string, RegExp][] = [
    ['(a', /character 2: a "\)" is missing/],
    ['a)', /"\)" without its "\("/],
    ['[a', /"\]" is missing/],
    ['*a', /nothing before "\*"/],
    ['a\\', /ends with/],
    ['(a)\\1', /back references/],
    ['(?=a)', /look around/],
    ['(?<n>a)', /look around or have names/],
    ['[z-a]', /out of order/],
    ['a{3,2}', /out of order/],
    ['a{2000}', /more than 1000/],
    ['\\bx', /"\\b" is not supported/],
    ['('.repeat(200), /too deep/],
  ];
  for (const [source, message] of wrong)
    t.throws(() => linePattern(`/${source}/`), { code: 'invalid', message }, source);
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (source) => {
      try {
        linePattern(`/${source}/`)('some line');
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error) || error.code !== 'invalid') throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
