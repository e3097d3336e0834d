import { mkdtempSync, rmSync, type watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { LogBell } from '../../core/machine/logs/log-file.ts';

t.test('a log that cannot be watched is looked at now and then', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-bell-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const path = join(folder, 'log');
  writeFileSync(path, '');
  const usedUp = (() => {
    throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' });
  }) as unknown as typeof watch;
  let listening = true;
  const source = {
    onChange: () => () => {
      listening = false;
    },
  };
  const bell = new LogBell([path, path], source, true, usedUp);
  const { signal } = new AbortController();
  t.equal(await bell.wait(signal, 60_000), true);
  t.equal(await bell.wait(signal, 60_000), true, 'and again');
  bell.close();
  t.equal(await bell.wait(signal, 1200), false, 'not after it was closed');
  t.notOk(listening);
});
