import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { ProcessInfo } from '../../core/contracts/process-table.ts';
import { FolderClaim } from '../../core/engine/folder-claim.ts';
import type { SitterFile } from '../../core/model/sitter-file.ts';

/** The pid of a daemon that had the folder and lives no more. */
const GONE = 9;
const ROUNDS = Number(process.env.CEREBRO_CLAIM_ROUNDS ?? 100);
const RACERS = 4;
/** A thread has no loader for TypeScript by itself. */
const [racer, here] = [new URL('./claim-racer.ts', import.meta.url).href, import.meta.url];
const THREAD = `import('tsx/esm/api').then(({ tsImport }) => tsImport('${racer}', '${here}'))`;

const daemon = (pid: number): SitterFile => ({ pid, startTime: pid, bootId: 'boot', url: '', mode: 'machine' });

/** Processes that live, by pid; `onLook` is told whose life is looked at, just before. */
class Table {
  readonly bootId = 'boot';
  readonly living = new Set<number>();
  onLook: ((pid: number) => void) | null = null;

  read(pid: number): ProcessInfo | undefined {
    this.onLook?.(pid);
    if (!this.living.has(pid)) return undefined;
    return { pid, startTime: pid, ppid: 1, pgrp: pid, session: pid, state: 'S', rssBytes: 0, cpuTicks: 0 };
  }
}

function field(t: Test): { file: string; table: Table; claim: FolderClaim; holder(): number | undefined } {
  const file = join(t.testdir(), 'sitter.json');
  const table = new Table();
  const claim = new FolderClaim(file, table);
  return { file, table, claim, holder: () => claim.holder()?.pid };
}

t.test('it is taken, kept while its holder lives, and followed when that one is gone', async (t) => {
  const { file, table, claim, holder } = field(t);
  table.living.add(1).add(2);
  claim.take(daemon(1));
  t.equal(holder(), 1);
  t.throws(() => claim.take(daemon(2)), { code: 'conflict', message: /in use by a daemon already \(pid 1\)/ });
  table.living.delete(1);
  t.equal(holder(), undefined);
  claim.take(daemon(2));
  t.equal(holder(), 2);
  t.same(readdirSync(join(file, '..')), ['sitter.json'], 'nothing else is left behind');
});

t.test('a file that was cut off, and one of another boot, are followed', async (t) => {
  const { file, table, claim, holder } = field(t);
  for (const text of ['', '{"pid"', JSON.stringify({ ...daemon(1), bootId: 'before' })]) {
    writeFileSync(file, text);
    table.living.add(1).add(2);
    claim.take(daemon(2));
    t.equal(holder(), 2);
  }
});

t.test('another that comes first, just after a look, is left to it', async (t) => {
  const { file, table, claim, holder } = field(t);
  writeFileSync(file, JSON.stringify(daemon(GONE)));
  table.living.add(1).add(2);
  table.onLook = () => {
    table.onLook = null;
    claim.take(daemon(2));
  };
  t.throws(() => claim.take(daemon(1)), { code: 'conflict', message: /pid 2/ });
  t.equal(holder(), 2);
  t.same(readdirSync(join(file, '..')), ['sitter.json']);
});

t.test('who died while it was following another is followed in its turn', async (t) => {
  const { file, table, claim, holder } = field(t);
  const heirOf = (text: string): string =>
    `${file}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}.heir`;
  const [gone, died] = [JSON.stringify(daemon(GONE)), JSON.stringify(daemon(8))];
  writeFileSync(file, gone);
  writeFileSync(heirOf(gone), died);
  table.living.add(1).add(2).add(8);
  t.throws(
    () => claim.take(daemon(1)),
    { code: 'conflict', message: /pid 8/ },
    'as long as it lives it may yet have it',
  );
  table.living.delete(8);
  claim.take(daemon(1));
  t.equal(holder(), 1);
  t.same(readdirSync(join(file, '..')), ['sitter.json']);
});

t.test('of many that follow one at the same moment, one gets it', async (t) => {
  const folder = t.testdir();
  const start = new Int32Array(new SharedArrayBuffer(4 * ROUNDS));
  const file = (round: number): string => join(folder, String(round), 'sitter.json');
  for (let round = 0; round < ROUNDS; round++) {
    mkdirSync(join(folder, String(round)));
    writeFileSync(file(round), JSON.stringify(daemon(GONE)));
  }
  const won = await Promise.all(
    Array.from({ length: RACERS }, (_, n) => {
      const racer = new Worker(THREAD, {
        eval: true,
        workerData: { folder, start, self: daemon(100 + n), rounds: ROUNDS, racers: RACERS, gone: GONE },
      });
      // The others wait for one that has ended.
      t.teardown(() => racer.terminate());
      return new Promise<number[]>((resolve, reject) => {
        racer.once('message', resolve);
        racer.once('error', reject);
        racer.once('exit', () => reject(new Error('a racer ended without a word')));
      });
    }),
  );
  const winners = Array.from({ length: ROUNDS }, (_, round) => won.filter((rounds) => rounds.includes(round)).length);
  t.same(winners, Array(ROUNDS).fill(1));
});
