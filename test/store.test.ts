import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../core/engine/system-clock.ts';
import { LmdbStore } from '../plugins/store-lmdb/lmdb-store.ts';
import { MemoryStore } from './fakes/memory-store.ts';
import { silentLogger } from './fakes/silent-logger.ts';
import { stateStoreSuite } from './suites/index.ts';

const services = (dataDir: string) => ({ dataDir, clock: new SystemClock(), logger: silentLogger });

t.test('store-memory', async (t) => {
  for (const { name, run } of stateStoreSuite(async () => new MemoryStore())) await t.test(name, async (t) => run(t));
});

t.test('store-lmdb', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  let n = 0;
  for (const { name, run } of stateStoreSuite(async () => new LmdbStore(services(folder), { folder: `store-${n++}` })))
    await t.test(name, async (t) => run(t));

  await t.test(
    'what was acknowledged is there after the store was opened again, and so are revision and epoch',
    async (t) => {
      const first = new LmdbStore(services(folder), { folder: 'again' });
      await first.start();
      const result = await first.commit({ write: [{ put: 'a', value: { b: 1 } }] });
      const lease = await first.lead('one', AbortSignal.timeout(1000));
      await first.stop();
      const second = new LmdbStore(services(folder), { folder: 'again' });
      await second.start();
      t.same((await second.get('a'))?.value, { b: 1 });
      t.equal((await second.list('')).revision, result.ok ? result.revision : -1);
      t.ok((await second.lead('two', AbortSignal.timeout(1000))).epoch > lease.epoch);
      await second.stop();
    },
  );
});
