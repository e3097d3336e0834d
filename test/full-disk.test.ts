import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../core/engine/system-clock.ts';
import { LmdbStore } from '../plugins/store-lmdb/lmdb-store.ts';
import { skipUnless } from './fakes/needs.ts';
import { silentLogger } from './fakes/silent-logger.ts';

const services = (dataDir: string): ConstructorParameters<typeof LmdbStore>[0] => ({
  dataDir,
  clock: new SystemClock(),
  logger: silentLogger,
});

/** A file system of 4 MB of our own; null where we may not mount. */
function smallDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
    return null;
  }
}

t.test('a full disk under the store: the change is refused, what was acknowledged stays', async (t) => {
  const disk = smallDisk();
  if (skipUnless(t, disk !== null, 'this test mounts a small tmpfs, which takes root (CAP_SYS_ADMIN)') || disk === null)
    return;
  t.teardown(() => {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true, maxRetries: 30 });
  });
  const store = new LmdbStore(services(disk), { folder: 'store' });
  await store.start();
  const acknowledged: string[] = [];
  const filler = 'x'.repeat(20_000);
  const fill = async (): Promise<unknown> => {
    for (let i = 0; i < 1000; i++) {
      const key = `job/${i}`;
      await store.commit({ write: [{ put: key, value: filler }] });
      acknowledged.push(key);
    }
    return undefined;
  };
  await t.rejects(fill(), { code: 'no_space', message: /disk under the store .* is full/ });
  t.ok(acknowledged.length > 20, `${acknowledged.length} were acknowledged before`);
  t.ok(statfsSync(disk).bfree * statfsSync(disk).bsize < 200_000, 'the disk is full indeed');

  t.equal((await store.list('job/')).entries.length, acknowledged.length, 'reads go on');
  await t.rejects(store.commit({ write: [{ put: 'job/other', value: filler }] }), { code: 'no_space' });
  await store.stop();

  const again = new LmdbStore(services(disk), { folder: 'store' });
  await again.start();
  t.same(
    (await again.list('job/')).entries.map(({ key }) => key).sort(),
    [...acknowledged].sort(),
    'what was acknowledged is there, and nothing else',
  );
  await again.stop();

  execFileSync('mount', ['-o', 'remount,size=16m', disk]);
  const larger = new LmdbStore(services(disk), { folder: 'store' });
  await larger.start();
  t.ok((await larger.commit({ write: [{ put: 'job/other', value: filler }] })).ok, 'with room again, changes go on');
  await larger.stop();
});
