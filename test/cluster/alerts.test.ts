import t, { type Test } from 'tap';
import { Alerts } from '../../core/cluster/alerts.ts';
import { ClusterRecords } from '../../core/cluster/records/cluster-records.ts';
import type { Notice, Notifier } from '../../core/contracts/notifier.ts';
import type { Condition } from '../../core/decide/alerts.ts';
import { ClusterFixture } from '../decide/cluster-fixture.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

const MINUTE = 60_000;

interface Under {
  alerts: Alerts;
  clock: VirtualClock;
  /** What is the case now. */
  conditions: Condition[];
  /** What the notifier was told, call by call. */
  told: Notice[][];
  /** Why it takes nothing now. */
  refuse(reason: Error | null): void;
  /** Another cluster sitter leads from here on, with the same store. */
  follow(): Promise<Alerts>;
  pass(ms: number): Promise<void>;
}

/** Alerts over a store of the test's own and a clock that the test moves, with one notifier. */
async function begun(t: Test): Promise<Under> {
  const clock = new VirtualClock(1_800_000_000_000);
  const store = new MemoryStore(() => clock.now());
  const told: Notice[][] = [];
  const conditions: Condition[] = [];
  let refusal: Error | null = null;
  const notifier: Notifier = {
    name: 'test',
    start: async () => undefined,
    stop: async () => undefined,
    notify: async (notices) => {
      if (refusal) throw refusal;
      told.push([...notices]);
    },
  };
  const lead = async (): Promise<Alerts> => {
    const records = new ClusterRecords(store, clock);
    await records.load();
    const leading = new Alerts({
      records,
      notifiers: [notifier],
      clock,
      logger: silentLogger,
      snapshot: (now) => ({ ...new ClusterFixture().snapshot(), now }),
      complaints: () => [],
      others: () => conditions,
    });
    leading.start();
    t.teardown(async () => {
      await leading.stop();
      records.close();
    });
    return leading;
  };
  const alerts = await lead();
  return {
    alerts,
    follow: async () => {
      await alerts.stop();
      return lead();
    },
    clock,
    conditions,
    told,
    refuse: (reason) => {
      refusal = reason;
    },
    pass: (ms) => clock.runUntil(clock.now() + ms, () => false),
  };
}

const ill = (key: string, level: Condition['level'] = 'warn'): Condition => ({ key, level, sentence: `${key} ails` });

t.test('what comes up together is told together, once, and again when it is over', async (t) => {
  const { alerts, conditions, told, pass } = await begun(t);
  conditions.push(ill('machine/a'), ill('machine/b'), ill('machine/c'));
  await pass(5000);
  t.equal(told.length, 1);
  t.same(
    told[0]?.map(({ key, resolved }) => [key, resolved]),
    [
      ['machine/a', false],
      ['machine/b', false],
      ['machine/c', false],
    ],
  );
  await pass(10 * MINUTE);
  t.equal(told.length, 1, 'what lasts is not told again soon');
  t.equal(alerts.list().length, 3);
  conditions.length = 0;
  await pass(MINUTE);
  t.same(
    told[1]?.map(({ key, resolved }) => [key, resolved]),
    [
      ['machine/a', true],
      ['machine/b', true],
      ['machine/c', true],
    ],
  );
  t.same(alerts.list(), []);
});

t.test('what comes and goes all the time is one story, told of once an hour at most', async (t) => {
  const { conditions, told, pass } = await begun(t);
  for (let n = 0; n < 120; n++) {
    conditions.push(ill('copy/web.1'));
    await pass(MINUTE / 2);
    conditions.length = 0;
    await pass(MINUTE / 2);
  }
  const tellings = told.flat().filter(({ key }) => key === 'copy/web.1');
  t.ok(tellings.length <= 3, `in two hours it was told ${tellings.length} times`);
  t.ok(tellings.every(({ resolved }) => !resolved));
});

t.test('what grows worse is told at once', async (t) => {
  const { conditions, told, pass } = await begun(t);
  conditions.push(ill('machine/a'));
  await pass(MINUTE);
  conditions[0] = ill('machine/a', 'error');
  await pass(MINUTE);
  t.same(
    told.flat().map(({ level }) => level),
    ['warn', 'error'],
  );
});

t.test(
  'a notifier that takes nothing is asked again, more and more seldom, and then told the newest word of each story',
  async (t) => {
    const { conditions, told, refuse, pass } = await begun(t);
    refuse(new Error('it is away'));
    conditions.push(ill('machine/a'), ill('machine/b'));
    await pass(MINUTE);
    conditions[0] = ill('machine/a', 'error');
    await pass(10 * MINUTE);
    t.same(told, []);
    refuse(null);
    await pass(6 * MINUTE);
    t.same(
      told.map((notices) => notices.map(({ key, level }) => `${level} ${key}`)),
      [['error machine/a', 'warn machine/b']],
    );
  },
);

t.test('what nobody took is told by the one that leads next, the end of a story too', async (t) => {
  const { conditions, told, refuse, follow, pass } = await begun(t);
  refuse(new Error('it is away'));
  conditions.push(ill('machine/a'), ill('machine/b'));
  await pass(MINUTE);
  conditions.pop();
  await pass(MINUTE);
  const next = await follow();
  refuse(null);
  await pass(MINUTE);
  t.same(
    told.map((notices) => notices.map(({ key, resolved }) => [key, resolved])),
    [
      [
        ['machine/a', false],
        ['machine/b', true],
      ],
    ],
  );
  t.same(
    next.list().map(({ key }) => key),
    ['machine/a'],
  );
  await pass(10 * MINUTE);
  t.equal(told.length, 1, 'the one that led before says nothing any more');
});
