import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon } from '../../core/engine/create-daemon.ts';
import { DataFolder } from '../../core/engine/data-folder.ts';
import { DATA_FORMAT } from '../../core/engine/data-format.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';

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

t.test('a folder of the other mode is left alone', async (t) => {
  const path = t.testdir({ store: {} });
  const folder = new DataFolder(path, new ProcTable());
  t.throws(() => folder.take('machine'), {
    code: 'conflict',
    message: /is the folder of a cluster sitter: .*--data-dir/,
  });
  folder.take('cluster');
  folder.release();
  const machine = new DataFolder(t.testdir({ tasks: {} }), new ProcTable());
  t.throws(() => machine.take('cluster'), { code: 'conflict', message: /is the folder of a machine sitter/ });
});

t.test(
  'the form of the files is put down when the daemon is up, and not before: until then an upgrade may go back',
  async (t) => {
    const path = t.testdir();
    const format = join(path, 'format');
    const folder = new DataFolder(path, new ProcTable());
    folder.take('machine');
    t.notOk(existsSync(format));
    folder.announce('machine', 'http://127.0.0.1:1');
    t.equal(readFileSync(format, 'utf8'), `${DATA_FORMAT}\n`);
    folder.release();
    writeFileSync(format, `${DATA_FORMAT + 1}\n`);
    t.throws(() => folder.take('machine'), { code: 'unsupported' });
  },
);
