import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import t from 'tap';
import { parseTsigKey, readTsigKey } from '../../providers/rfc2136/tsig-key.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const secret = Buffer.alloc(32, 5).toString('base64');

t.test('a key is read as tsig-keygen writes it, and as one line', async (t) => {
  const block = `# made by hand\nkey "Cerebro." {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`;
  for (const text of [
    block,
    `hmac-sha256:cerebro:${secret}\n`,
    `key cerebro { secret "${secret}"; algorithm "HMAC-SHA256"; };`,
  ]) {
    const key = parseTsigKey(text, 'here');
    t.equal(key.name, 'cerebro');
    t.equal(key.algorithm, 'hmac-sha256');
    t.equal(key.mac([Buffer.from('x')]).length, 32);
    t.notMatch(inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key), secret);
  }
});

t.test('what is no key is refused, without a word of what stands there', async (t) => {
  for (const [text, sentence] of [
    ['hunter2', /holds no TSIG key/],
    ['', /holds no TSIG key/],
    [`hmac-md5:cerebro:${secret}`, /hmac-md5 is not hmac-sha256 or hmac-sha512/],
    ['hmac-sha256:cerebro:c2hvcnQ=', /at least 16 bytes/],
    [`hmac-sha256:${'x'.repeat(64)}:${secret}`, /no legal name/],
  ] as const) {
    try {
      parseTsigKey(text, 'the file k');
      t.fail(`${text} was taken`);
    } catch (error) {
      t.match(String(error), sentence);
      t.notMatch(String(error), /hunter2|c2hvcnQ/);
    }
  }
});

t.test('a key comes from a file or from the environment', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-key-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const path = join(folder, 'k');
  t.throws(() => readTsigKey({ key_file: path }, silentLogger), { code: 'invalid', message: /cannot be read: ENOENT/ });
  writeFileSync(path, `hmac-sha512:k:${secret}`, { mode: 0o644 });
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) };
  t.equal(readTsigKey({ key_file: path }, logger).algorithm, 'hmac-sha512');
  t.match(warnings, [/everybody on this host can read/]);

  t.throws(() => readTsigKey({ key_env: 'CEREBRO_TEST_TSIG' }, silentLogger), /CEREBRO_TEST_TSIG.* is not set/);
  process.env.CEREBRO_TEST_TSIG = `hmac-sha256:k:${secret}`;
  t.teardown(() => delete process.env.CEREBRO_TEST_TSIG);
  t.equal(readTsigKey({ key_env: 'CEREBRO_TEST_TSIG' }, silentLogger).name, 'k');
});
