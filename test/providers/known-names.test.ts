import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { KnownNames } from '../../providers/rfc2136/known-names.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-names-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

function loaded(path: string): KnownNames {
  const names = new KnownNames(path);
  names.load();
  return names;
}

t.test('names are there after a restart, each once', async (t) => {
  const path = join(folder, 'deep', 'names');
  const names = loaded(path);
  names.add(['a.redis.test', 'redis.test', 'a.redis.test']);
  names.add(['redis.test', 'other.test']);
  t.same(loaded(path).within('redis.test'), ['a.redis.test', 'redis.test']);
  t.equal(readFileSync(path, 'utf8'), 'a.redis.test\nredis.test\nother.test\n');
});

t.test('what is forgotten is not asked for, and can come back', async (t) => {
  const path = join(folder, 'forgotten');
  const names = loaded(path);
  names.add(['a.test', 'b.test']);
  names.forget('a.test');
  t.same(names.within('test'), ['b.test']);
  names.add(['a.test']);
  t.same(loaded(path).within('test'), ['a.test', 'b.test']);
});

t.test('the file does not grow without end: the oldest names go', async (t) => {
  const path = join(folder, 'many');
  const names = loaded(path);
  for (let n = 0; n < 25; n++) names.add(Array.from({ length: 1000 }, (_, m) => `${n}-${m}.test`));
  const known = loaded(path).within('test');
  t.equal(known.length, 10_000);
  t.equal(known.at(-1), '24-999.test');
  t.notOk(known.includes('0-0.test'));
  t.ok(readFileSync(path, 'utf8').split('\n').length <= 20_001);
});

t.test('a file that cannot be kept is said so', async (t) => {
  const path = join(folder, 'a-folder');
  mkdirSync(path);
  t.throws(() => loaded(path), { code: 'unavailable', message: /cannot be kept/ });
});
