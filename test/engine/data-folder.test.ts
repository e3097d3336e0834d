import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';

t.test('the data folder is for its owner alone, also when the log is the first that is in it', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'cerebro-folder-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true, maxRetries: 30 }));
  const dataDir = join(parent, 'deep', 'data');
  const daemon = await createDaemon({
    mode: 'cluster',
    settings: readSettings(undefined, { data_dir: dataDir, port: 0 }),
    pluginsFile: undefined,
    logFile: join(dataDir, 'cerebro.log'),
    portFallback: true,
    onStopRequested: () => undefined,
  });
  t.equal(statSync(dataDir).mode & 0o777, 0o700);
  await daemon.stop();
});
