/**
 * The state stores side by side: the embedded one, etcd with one member and with three, all on this host's disk. Commits one after
 * another and 16 at a time, the delay until a watch tells of a commit, a list of 100,000 keys (`--keys N`), and how long another waits
 * for the lead when its holder gives it back and when it is gone without a word. `--only embedded,etcd,etcd-3` leaves some out.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { StateStore } from '../core/contracts/state-store.ts';
import { SystemClock } from '../core/engine/system-clock.ts';
import { EtcdStore } from '../plugins/store-etcd/etcd-store.ts';
import { config as etcdConfig } from '../plugins/store-etcd/schema.ts';
import { LmdbStore } from '../plugins/store-lmdb/lmdb-store.ts';
import { config as lmdbConfig } from '../plugins/store-lmdb/schema.ts';
import { EtcdServer } from '../test/fakes/etcd-servers.ts';
import { silentLogger } from '../test/fakes/silent-logger.ts';
import { percentile, report, type Series } from './bench-report.ts';

const { values: asked } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    only: { type: 'string', default: 'embedded,etcd,etcd-3' },
    json: { type: 'string' },
  },
});
const KEYS = Number(asked.keys);
const COMMITS = 400;
const AT_ONCE = 16;
const LISTS = 5;
const TAKE_OVERS = 3;
/** A copy's record is about so large. */
const VALUE = { text: 'x'.repeat(600) };
const FILL = 1000;
const LEASE_SECONDS = 8;

interface Place {
  name: string;
  /** Another connection to the same records; of an embedded store there is one at a time. */
  open(): StateStore;
  several: boolean;
  remove(): Promise<void>;
}

async function embedded(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-bench-store-'));
  const open = (): StateStore =>
    new LmdbStore({ dataDir: folder, clock: new SystemClock(), logger: silentLogger }, lmdbConfig.parse({}));
  return {
    name: 'embedded',
    open,
    several: false,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function etcd(name: string, size: number): Promise<Place> {
  const members = size === 1 ? [await EtcdServer.start()] : await EtcdServer.startCluster(size);
  const config = etcdConfig.parse({ endpoints: members.map(({ url }) => url), lease: LEASE_SECONDS });
  const open = (): StateStore => new EtcdStore({ clock: new SystemClock(), logger: silentLogger }, config);
  const remove = async (): Promise<void> => {
    for (const member of members) await member.remove();
  };
  return { name, open, several: true, remove };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function repeated(count: number, work: (n: number) => Promise<unknown>): Promise<number[]> {
  const ms: number[] = [];
  for (let n = 0; n < count; n++) ms.push(await timed(() => work(n)));
  return ms;
}

/** What no durable commit can be faster than: as many bytes appended to a file, and on the disk. */
function floor(): Series {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-bench-floor-'));
  const file = openSync(join(folder, 'file'), 'a');
  const ms: number[] = [];
  for (let n = 0; n < COMMITS; n++) {
    const began = performance.now();
    writeSync(file, JSON.stringify(VALUE));
    fdatasyncSync(file);
    ms.push(performance.now() - began);
  }
  closeSync(file);
  rmSync(folder, { recursive: true, force: true });
  return { name: FLOOR, ms };
}
const FLOOR = 'append and fdatasync';

async function measure(place: Place, facts: Record<string, unknown>): Promise<Series[]> {
  const { name } = place;
  const store = place.open();
  await store.start();
  const lease = await store.lead('bench', AbortSignal.timeout(60_000));
  const put = (key: string): ReturnType<StateStore['commit']> => store.commit({ write: [{ put: key, value: VALUE }] });
  await repeated(50, (n) => put(`warm/${n}`));
  const commits = await repeated(COMMITS, (n) => put(`one/${n}`));
  const all = await timed(() =>
    Promise.all(
      Array.from({ length: AT_ONCE }, (_, lane) => repeated(COMMITS / AT_ONCE, (n) => put(`lane/${lane}/${n}`))),
    ),
  );

  const told = new Map<string, (at: number) => void>();
  const watch = store.watch(
    'told/',
    (await store.list('told/')).revision,
    (changes) => {
      for (const { key } of changes) told.get(key)?.(performance.now());
    },
    (error) => {
      throw error;
    },
  );
  const delays: number[] = [];
  for (let n = 0; n < COMMITS; n++) {
    const began = performance.now();
    const heard = new Promise<number>((resolve) => told.set(`told/${n}`, resolve));
    await put(`told/${n}`);
    delays.push((await heard) - began);
  }
  watch.close();

  for (let from = 0; from < KEYS; from += FILL)
    await store.commit({
      write: Array.from({ length: Math.min(FILL, KEYS - from) }, (_, n) => ({
        put: `many/${String(from + n).padStart(9, '0')}`,
        value: VALUE,
      })),
    });
  const lists = await repeated(LISTS, async () => {
    const { entries } = await store.list('many/');
    if (entries.length !== KEYS) throw new Error(`${name} lists ${entries.length} of ${KEYS} keys`);
  });
  await lease.release();
  const takeOvers = place.several ? await measureTakeOver(place, store) : [];
  await store.stop();
  const rate = (count: number, ms: number): number => Math.round((count * 1000) / ms);
  facts[name] = {
    commitsPerSecond: rate(
      COMMITS,
      commits.reduce((sum, ms) => sum + ms, 0),
    ),
    commitsPerSecondAtOnce: rate(COMMITS, all),
    watchP99Ms: Math.round(percentile(delays, 0.99) * 100) / 100,
  };
  return [
    { name: `${name}: a commit`, ms: commits, against: FLOOR },
    { name: `${name}: a commit until a watch tells of it`, ms: delays, against: `${name}: a commit` },
    { name: `${name}: a list of ${KEYS} keys`, ms: lists, against: `embedded: a list of ${KEYS} keys` },
    ...takeOvers,
  ];
}

async function measureTakeOver({ name, open }: Place, store: StateStore): Promise<Series[]> {
  const [handed, left]: [number[], number[]] = [[], []];
  const soon = (): AbortSignal => AbortSignal.timeout(60_000);
  for (let n = 0; n < TAKE_OVERS; n++) {
    const other = open();
    await other.start();
    const held = await other.lead('the other one', soon());
    const waiting = store.lead('this one', soon());
    handed.push(
      await timed(async () => {
        await held.release();
        await (await waiting).release();
      }),
    );
    await other.lead('the other one', soon());
    const again = store.lead('this one', soon());
    left.push(
      await timed(async () => {
        // As when it is killed: the lead is not given back.
        await other.stop();
        await (await again).release();
      }),
    );
  }
  return [
    { name: `${name}: the lead, given back by its holder`, ms: handed },
    { name: `${name}: the lead, its holder gone (a lease of ${LEASE_SECONDS} s)`, ms: left },
  ];
}

const only = asked.only.split(',');
const facts: Record<string, unknown> = { keys: KEYS, valueBytes: JSON.stringify(VALUE).length, atOnce: AT_ONCE };
const series: Series[] = [floor()];
for (const [name, make] of [
  ['embedded', embedded],
  ['etcd', () => etcd('etcd', 1)],
  ['etcd-3', () => etcd('etcd-3', 3)],
] as const) {
  if (!only.includes(name)) continue;
  const place = await make();
  try {
    series.push(...(await measure(place, facts)));
  } finally {
    await place.remove();
  }
}
report('State stores', series, facts);
