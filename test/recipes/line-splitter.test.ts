import t from 'tap';
import { LineSplitter } from '../../recipes/python/line-splitter.ts';

/** What comes out of `chunks`, at most five characters a piece. */
function split(...chunks: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(5, (line) => lines.push(line));
  for (const chunk of chunks) splitter.take(Buffer.from(chunk));
  splitter.end();
  return lines;
}

t.test('lines come whole, however they arrive', async (t) => {
  t.same(split('one\ntw', 'o\n', 'end'), ['one', 'two', 'end']);
  t.same(split('a\n\nb\n'), ['a', '', 'b']);
});

t.test('long lines come in pieces, with or without their end', async (t) => {
  t.same(split('1234567'), ['12345', '67']);
  t.same(split('1234567890ab\nx'), ['12345', '67890', 'ab', 'x'], 'also when the end is there at once');
  t.same(split('123', '4567890\n'), ['12345', '67890']);
});
