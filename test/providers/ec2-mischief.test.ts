import t from 'tap';
import { CerebroError } from '../../core/errors.ts';
import type { Ec2Provider } from '../../providers/ec2/ec2-provider.ts';
import type { Mischief } from '../fakes/ec2/ec2-stand-in.ts';
import { eventually } from '../suites/eventually.ts';
import { CLUSTER, Ec2UnderTest, orderOf } from './ec2-under-test.ts';

const SEEDS = process.env.CEREBRO_SEEDS?.split(',').map(Number) ?? [1, 2, 3];
const MACHINES = 6;
const STEPS = 14;
const MISCHIEF: readonly Mischief[] = [
  'refuse-connection',
  'silence',
  'lose-answer',
  'lose-answer',
  'late-answer',
  'late-act',
  'late-act',
  'twice',
  'twice',
  'throttle',
  'fault',
  'fault-after',
];

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Orders and ends machines as a cluster sitter would, while everything goes wrong; restarts in between, sometimes with other settings. */
class Restless {
  readonly wanted = new Set<string>();
  readonly #under: Ec2UnderTest;
  readonly #random: () => number;
  #provider: Ec2Provider | null = null;

  constructor(under: Ec2UnderTest, random: () => number) {
    this.#under = under;
    this.#random = random;
  }

  async live(): Promise<void> {
    await this.#restart();
    let living = true;
    const machines = Promise.all(Array.from({ length: MACHINES }, (_, i) => this.#machine(`m-${i}`))).finally(() => {
      living = false;
    });
    while (living) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (this.#random() < 0.2) await this.#restart();
      await this.#bear(() => this.#provider?.describe(CLUSTER));
    }
    await machines;
    await this.#provider?.stop();
  }

  /** One machine: ordered until it is made or not wanted any more, ended until that is done, ordered anew. */
  async #machine(machineId: string): Promise<void> {
    let orders = 0;
    for (let step = 0; step < STEPS; step += 1) {
      if (this.#random() < 0.65) {
        this.wanted.add(machineId);
        await this.#bear(() => this.#provider?.create(orderOf(machineId, { intent: `${machineId}-order-${orders}` })));
      } else {
        this.wanted.delete(machineId);
        // Once it has ended for certain, whoever orders it again does so with another intent, as a cluster sitter does.
        if (await this.#bear(() => this.#provider?.destroy(CLUSTER, machineId))) orders += 1;
      }
    }
  }

  async #restart(): Promise<void> {
    await this.#provider?.stop();
    const api = { timeout: 0.4, attempts: 2, rate: 500, poll: 0.03, status_poll: 0.1, settle: 1, end: 4 };
    this.#provider = this.#under.provider({ api, ...(this.#random() < 0.3 && { user_data: 'echo changed' }) });
    await this.#provider.start();
  }

  /** true: it went well. What is no sentence for people is a fault of ours. */
  async #bear(act: () => Promise<unknown> | undefined): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof CerebroError && error.code !== 'internal') return false;
      throw error;
    }
  }
}

for (const seed of SEEDS) {
  t.test(`seed ${seed}: whatever EC2 does, one order is one instance, and none is lost`, async (t) => {
    const random = randomOf(seed);
    const under = await Ec2UnderTest.open();
    const { standIn } = under;
    const { world } = standIn;
    t.teardown(() => under.close());
    Object.assign(world, { bootMs: 100, endMs: 100 });
    const strange = {
      region: 'us-west-2',
      az: 'us-west-2a',
      type: 't3.small',
      token: undefined,
      spot: false,
      userData: '',
      keyName: undefined,
      subnet: 'subnet-0a',
      groups: [],
      publicIp: undefined,
    };
    const others = [
      world.add({ ...strange, tags: {} }),
      world.add({ ...strange, tags: { Name: 'm-0' } }),
      world.add({ ...strange, tags: { 'cerebro:machine': 'm-0' } }),
      world.add({
        ...strange,
        tags: { 'cerebro:cluster': 'another', 'cerebro:machine': 'm-0', 'cerebro:zone': 'aws-us-west-2a' },
      }),
    ];
    standIn.mischief = () => {
      world.hideMs = Math.floor(random() * 500);
      if (random() < 0.02) world.soldOut.add('us-west-2a/t3.small');
      else if (random() < 0.2) world.soldOut.clear();
      return random() < 0.3 ? (MISCHIEF[Math.floor(random() * MISCHIEF.length)] ?? null) : null;
    };

    const restless = new Restless(under, random);
    await restless.live();
    const { wanted } = restless;

    // EC2 is well again, and a cluster sitter that begins with nothing but its records looks on.
    standIn.mischief = () => null;
    world.soldOut.clear();
    await new Promise((resolve) => setTimeout(resolve, standIn.lateMs * 2));
    const sweeper = under.provider();
    await sweeper.start();
    const ours = () => world.living().filter(({ tags }) => tags['cerebro:cluster'] === CLUSTER);
    await eventually(async () => {
      const listed = new Set(
        (await sweeper.describe(CLUSTER)).filter(({ state }) => state !== 'gone').map(({ ref }) => ref),
      );
      return ours().every(({ id }) => listed.has(id));
    }, 'everything of ours that lives is told of');
    for (const { machineId } of await sweeper.describe(CLUSTER))
      if (!wanted.has(machineId)) await sweeper.destroy(CLUSTER, machineId);

    t.ok(world.instances.length > others.length, `${world.instances.length} instances were made`);
    const byIntent = new Map<string, string[]>();
    for (const { id, tags } of world.instances) {
      const intent = tags['cerebro:intent'];
      if (intent !== undefined) byIntent.set(intent, [...(byIntent.get(intent) ?? []), id]);
    }
    for (const [intent, ids] of byIntent) t.equal(ids.length, 1, `${intent} made one`);
    for (const other of others) t.equal(other.endedAt, null, 'what is not ours lives');
    t.ok(
      ours().every(({ tags }) => wanted.has(tags['cerebro:machine'] ?? '')),
      'nothing lives that is not wanted',
    );
    t.same(standIn.faults, [], 'no request was malformed');
    await sweeper.stop();
  });
}
