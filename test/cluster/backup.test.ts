import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ClusterRecords } from '../../core/cluster/records/cluster-records.ts';
import { readBackup } from '../../core/cluster/records/read-backup.ts';
import { restoreBackup } from '../../core/cluster/records/restore-backup.ts';
import { backupLines, readStore } from '../../core/cluster/records/write-backup.ts';
import type { StateStore } from '../../core/contracts/state-store.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { storeKeys } from '../../core/model/backup.ts';
import { EtcdStore } from '../../plugins/store-etcd/etcd-store.ts';
import { config } from '../../plugins/store-etcd/schema.ts';
import { LmdbStore } from '../../plugins/store-lmdb/lmdb-store.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const clock = new SystemClock();
const now = 1_800_000_000_000;
const VALUES: [string, unknown][] = [
  ['alert/ä', { sentence: 'line\nbreak   “quotes”', n: 0.1 }],
  ['meta/cluster', 'c-1'],
  ['serial/a', 7],
  ...Array.from({ length: 300 }, (_, i): [string, unknown] => [
    `x/${String(i).padStart(4, '0')}`,
    { text: 'x'.repeat(3000) },
  ]),
];

async function filled(store: StateStore): Promise<StateStore> {
  for (let from = 0; from < VALUES.length; from += 50)
    await store.commit({ write: VALUES.slice(from, from + 50).map(([put, value]) => ({ put, value })) });
  await store.commit({ write: [{ put: storeKeys.id, value: 'store-1' }] });
  return store;
}

async function backupOf(store: StateStore): Promise<string> {
  const { head, entries } = await readStore(store, now);
  return [...backupLines(head, entries)].join('');
}

const restore = (store: StateStore, text: string, replace = false): Promise<void> =>
  restoreBackup(store, readBackup(text, 'b.jsonl'), { replace, now });

async function contentOf(store: StateStore): Promise<[string, unknown][]> {
  const own: readonly string[] = Object.values(storeKeys);
  return (await store.list('')).entries.filter(({ key }) => !own.includes(key)).map(({ key, value }) => [key, value]);
}

t.test('from any store into any other, and back', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-backup-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const services = { dataDir: folder, clock, logger: silentLogger };
  const chain: StateStore[] = [new LmdbStore(services, { folder: 'store' }), new MemoryStore()];
  if (!skipWithoutEtcd(t)) {
    const server = await EtcdServer.start();
    t.teardown(() => server.remove());
    chain.splice(1, 0, new EtcdStore(services, config.parse({ endpoints: [server.url] })));
  }
  let text = await backupOf(await filled(new MemoryStore()));
  const first = text;
  for (const store of chain) {
    await store.start();
    t.teardown(() => store.stop());
    await restore(store, text);
    t.same(await contentOf(store), VALUES);
    text = await backupOf(store);
  }
  const body = (backup: string): string[] => backup.split('\n').slice(1, -2);
  t.same(body(text), body(first));
});

t.test('what is no whole backup is refused', async (t) => {
  const text = await backupOf(await filled(new MemoryStore()));
  const refused = (changed: string, message: RegExp, code = 'invalid'): void => {
    t.throws(() => readBackup(changed, 'b.jsonl'), { code, message });
  };
  refused('', /no backup/);
  refused('{"cerebro":"something"}\n', /no backup/);
  refused(text.slice(0, -1), /cut short/);
  refused(text.slice(0, -100), /cut short/);
  const lines = text.split('\n');
  refused(`${lines.slice(0, -2).join('\n')}\n`, /cut short/);
  refused(text.replace('"serial/a","value":7', '"serial/a","value":8'), /damaged/);
  refused([...lines.slice(0, 5), ...lines.slice(6)].join('\n'), /damaged/);
  refused(text.replace('"version":1', '"version":2'), /newer Cerebro/, 'unsupported');
  refused(text.replace('"schema":1', '"schema":9'), /newer Cerebro/, 'unsupported');
});

t.test('a store that has something in it is left alone, unless it is to be replaced', async (t) => {
  const text = await backupOf(await filled(new MemoryStore()));
  const target = new MemoryStore();
  await target.commit({
    write: [
      { put: 'serial/a', value: 1 },
      { put: 'serial/b', value: 1 },
    ],
  });
  await t.rejects(restore(target, text), { code: 'conflict', message: /2 entries already; --replace/ });
  t.equal((await target.list('')).entries.length, 2);
  await restore(target, text, true);
  t.same(await contentOf(target), VALUES);
  t.not((await target.get(storeKeys.id))?.value, 'store-1', 'it has a name of its own');
  t.equal((await target.get(storeKeys.schema))?.value, 1);
});

t.test('never into the store that it comes from', async (t) => {
  const store = await filled(new MemoryStore());
  const text = await backupOf(store);
  await t.rejects(restore(store, text, true), { code: 'conflict', message: /very store/ });
  t.same(await contentOf(store), VALUES);
});

t.test('a restore that was cut off: nobody starts with half of it, and it can be done again', async (t) => {
  const text = await backupOf(await filled(new MemoryStore()));
  const target = new MemoryStore();
  let commits = 0;
  const failing = {
    list: target.list.bind(target),
    commit: (transaction: Parameters<StateStore['commit']>[0]) =>
      ++commits > 2 ? Promise.reject(new Error('the power went')) : target.commit(transaction),
  };
  await t.rejects(restoreBackup(failing, readBackup(text, 'b.jsonl'), { replace: false, now }), /power/);
  await t.rejects(new ClusterRecords(target, clock).load(), { code: 'conflict', message: /restore FILE --replace/ });
  await t.rejects(backupOf(target), { code: 'conflict' });
  await restore(target, text, true);
  t.same(await contentOf(target), VALUES);
});

t.test('the store of a newer program is refused', async (t) => {
  const store = new MemoryStore();
  await store.commit({ write: [{ put: storeKeys.schema, value: 2 }] });
  await t.rejects(new ClusterRecords(store, clock).load(), { code: 'unsupported', message: /version 2/ });
});

t.test('an empty store makes no backup', async (t) => {
  await t.rejects(backupOf(new MemoryStore()), { code: 'not_found' });
});
