import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import t from 'tap';
import { logDestination } from '../../core/engine/log-destination.ts';

t.test('a log whose disk is full throws nothing into whoever wants to log', async (t) => {
  const log = pino({ base: null }, logDestination('/dev/full'));
  t.doesNotThrow(() => {
    for (let line = 0; line < 2000; line++) log.info({ line }, 'there is no room for this'.repeat(40));
  });
});

t.test('where there is room, every line is there at once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-log-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'of its own', 'cerebro.log');
  const log = pino({ base: null, timestamp: false }, logDestination(file));
  log.info('x'.repeat(100_000));
  log.info('after a long one');
  const [first = '', second] = readFileSync(file, 'utf8').split('\n');
  t.equal(first.length > 100_000, true);
  t.equal(second, '{"level":30,"msg":"after a long one"}');
});
