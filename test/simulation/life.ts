import type { Settings } from '../../core/model/settings.ts';
import { settings } from '../../core/model/settings.ts';
import { Chaos } from './chaos.ts';
import { Cloud } from './cloud.ts';
import { EffectLaws } from './effect-laws.ts';
import { Ledger } from './ledger.ts';
import { NameLaws } from './name-laws.ts';
import { NameZones } from './name-zones.ts';
import { namesAtOdds } from './names-at-odds.ts';
import { Network } from './network.ts';
import { People } from './people.ts';
import { RecordLaws } from './record-laws.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedStore } from './simulated-store.ts';
import { type Breakage, Sitters } from './sitters.ts';
import { unrest } from './unrest.ts';
import { BIRTH, type Violation, World } from './world.ts';

/** How long after the last fault everything must be as it should (ms). */
const REST_WITHIN_MS = 20 * 60_000;
/** Rest is rest when nothing changes for so long. */
const REST_MS = 45_000;
const LOOK_MS = 1000;

export interface Life {
  seed: number;
  violation: Violation | null;
  /** One line for each thing that happened, with its second. */
  timeline: readonly string[];
  /** Seconds of its own time: how long it lasted, and how long after the last fault it came to rest. */
  seconds: number;
  restAfter: number;
  commits: number;
}

/** One life of a cluster, from its first job to its rest after the last fault; the same seed takes the same course. */
export async function live(seed: number, breakage: Breakage = {}): Promise<Life> {
  const random = new SeededRandom(`life ${seed}`);
  const world = new World(random, { ...SETTINGS, dns_allow_empty: random.fork('settings').chance(0.2) });
  const cloud = new Cloud(world);
  const network = new Network(world);
  const ledger = new Ledger(world);
  const laws = new EffectLaws(world, ledger);
  const zones = new NameZones(world);
  const nameLaws = new NameLaws({ world, ledger, truth: cloud, zones, network });
  const recordLaws = new RecordLaws({ world, ledger, truth: cloud }, nameLaws);
  world.onLeashedStart = (job) => {
    const running = cloud.running(job).map(({ definition }) => definition.id);
    if (running.length > 1)
      world.violate('a singleton never runs twice', `${running.join(' and ')} run at the same time`);
  };
  let commits = 0;
  const store = new SimulatedStore(world, (by, transaction) => {
    commits += 1;
    const commit = ledger.take(transaction);
    for (const { message } of commit.events) world.tell(`  * ${message}`);
    recordLaws.check(commit, by);
  });
  const sitters = new Sitters({ world, cloud, network, store, laws, zones, nameLaws }, breakage);
  const people = new People(world, () => sitters.current());
  const chaos = new Chaos({
    world,
    cloud,
    network,
    zones,
    names: () => [...ledger.dns.values()].map(({ name }) => name),
    current: () => sitters.current()?.process ?? null,
    succeed: () => sitters.begin(),
    stopInOrder: () => sitters.stopInOrder(),
  });
  const until = (time: number): Promise<void> => world.clock.runUntil(time, () => world.violation !== null);

  sitters.begin();
  nameLaws.watch();
  people.begin();
  chaos.begin();
  await until(BIRTH + world.random.fork('length').between(60_000, 240_000));
  if (!world.violation) {
    chaos.end();
    people.tidy();
  }
  const calmFrom = world.clock.now();
  let restFrom: number | null = null;
  let wrong: string[] = [];
  while (!world.violation) {
    const now = world.clock.now();
    wrong = [...unrest(ledger, cloud, SETTINGS), ...namesAtOdds({ world, ledger, cloud, zones })];
    if (wrong.length > 0 || now - ledger.changedAt < LOOK_MS) restFrom = null;
    else restFrom ??= now;
    if (restFrom !== null && now - restFrom >= REST_MS) break;
    if (now - calmFrom >= REST_WITHIN_MS)
      world.violate(
        'it comes to rest when the faults are over',
        wrong.slice(0, 8).join('; ') || 'records still change',
      );
    await until(now + LOOK_MS);
  }
  const ended = world.clock.now();
  sitters.end();
  return {
    seed,
    violation: world.violation,
    timeline: world.timeline,
    seconds: (ended - BIRTH) / 1000,
    restAfter: ((restFrom ?? ended) - calmFrom) / 1000,
    commits,
  };
}

/** The defaults, but for deadlines that would only make lives longer. */
const SETTINGS: Settings = settings.parse({
  boot_deadline: 90,
  recipe_deadline: 30,
  dns_ttl: 5,
  dns_removal_patience: 15,
  dns_check_interval: 60,
});
