import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tailOffset } from '../../core/machine/logs/log-file.ts';
import { RunLog } from '../../core/machine/logs/run-log.ts';

/** Every line has its own number, and 24 bytes: no block of the disk begins where one does, but for the first. */
const LINE_BYTES = 24;
const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${String(i).padStart(9, '0')} and some text\n`).join('');

function logOf(t: Test, text: string): RunLog {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-tail-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  writeFileSync(join(folder, 'log'), text);
  return new RunLog(join(folder, 'log'), join(folder, 'position'));
}

async function tail(log: RunLog, count: number): Promise<number> {
  const open = await log.open();
  if (!open) throw new Error('the log is there');
  try {
    return await tailOffset(open, await open.end(), count);
  } finally {
    await open.close();
  }
}

t.test('where fewer lines are kept, those that are whole come', async (t) => {
  const log = logOf(t, lines(1000));
  t.equal(await tail(log, 3), 997 * LINE_BYTES);
  t.equal(await tail(log, 1000), 0);
  t.equal(await tail(log, 5000), 0, 'all of them, from the first byte of the run');
  t.equal(await tail(log, 0), 1000 * LINE_BYTES);
  await log.cut(4096, 'copytruncate');
  t.equal(await tail(log, 5), log.start, 'nothing is left');
});

t.test('where the head is cut off in the middle of a line, the next one is the first', async (t) => {
  const log = logOf(t, lines(1000));
  await log.cut(4096, 'punch');
  t.equal(log.start, 4096);
  const first = Math.ceil(4096 / LINE_BYTES) * LINE_BYTES;
  t.equal(await tail(log, 5000), first);
  t.equal(await tail(log, (1000 * LINE_BYTES - first) / LINE_BYTES), first);
});

t.test('what is further back than lines are looked for is no half line either', async (t) => {
  const many = 200_000;
  const log = logOf(t, lines(many));
  const from = await tail(log, many);
  t.equal(from % LINE_BYTES, 0, 'it begins with a line');
  t.ok(from > 0 && from < many * LINE_BYTES - 4 * 1024 * 1024 + 64 * 1024);
  t.equal(await tail(log, 100_000), 100_000 * LINE_BYTES, 'nearer ones are counted');
});

t.test('one line without end is cut', async (t) => {
  const log = logOf(t, `${'x'.repeat(5_000_000)}\n`);
  const from = await tail(log, 1);
  t.ok(from > 0 && from < 1_000_000);
});
