import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import { CerebroError } from '../../core/errors.ts';
import { ZONES } from './cloud.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** What people may be told when something does not go: anything else is a fault of ours. */
const FAIR_ANSWERS = new Set(['invalid', 'conflict', 'not_found', 'unavailable', 'no_space', 'timeout', 'ambiguous']);
const PLAIN = ['web', 'api', 'db', 'batch'];
/** Followers, each with its leader: a chain, and two of one leader. */
const LINKED: readonly [string, string][] = [
  ['log', 'web'],
  ['trace', 'log'],
  ['meter', 'web'],
];

/** People who want now this and now that, and do not wait until the last thing was done. */
export class People {
  readonly #world: World;
  readonly #random: SeededRandom;
  /** How the cluster sitter is asked now; null: there is none. */
  readonly #sitter: () => { api: ClusterApi; process: SitterProcess } | null;
  #asked = 0;

  constructor(world: World, sitter: () => { api: ClusterApi; process: SitterProcess } | null) {
    this.#world = world;
    this.#random = world.random.fork('people');
    this.#sitter = sitter;
  }

  /** Asks for something every few seconds, until there is calm. */
  begin(): void {
    this.#ask('apply', (api) => this.#apply(api));
    const next = (): void => {
      if (this.#world.calm) return;
      this.#anything();
      this.#world.after(this.#random.between(1000, 25_000), next);
    };
    this.#world.after(this.#random.between(100, 10_000), next);
  }

  #anything(): void {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.35) this.#ask('apply', (api) => this.#apply(api));
    else if (draw < 0.6) this.#ask('change', (api) => this.#change(api));
    else if (draw < 0.7) this.#ask('remove', (api) => api.removeJob(random.pick([...PLAIN, 'log']), 'anna'));
    else if (draw < 0.82)
      this.#ask('drain', async (api) => {
        const ids = api.machines().map(({ id }) => id);
        if (ids.length > 0) await api.drainMachine(random.pick(ids), 'anna');
      });
    else if (draw < 0.9)
      this.#ask('idle limit', (api) => api.setIdleLimit(random.int(-1, 2), random.pick([null, ...ZONES]), 'bert'));
    else if (draw < 0.95)
      this.#ask('restart', async (api) => void (await api.restartCopies({ job: random.pick(PLAIN) }, 'bert')));
    else this.#ask('look', (api) => look(api));
  }

  async #apply(api: ClusterApi): Promise<void> {
    const random = this.#random;
    const jobs = new Map<string, object>();
    for (let n = random.int(1, 2); n > 0; n--) {
      const name = random.pick(PLAIN);
      jobs.set(name, this.#job(name));
    }
    if (random.chance(0.4)) {
      const [name, leader] = random.pick(LINKED);
      jobs.set(name, this.#follower(name, leader));
    }
    await this.#send(api, [...jobs.values()]);
  }

  /** As most changes are: one thing of a job that there is. */
  async #change(api: ClusterApi): Promise<void> {
    const random = this.#random;
    const names = api.jobs().map(({ name }) => name);
    if (names.length === 0) return;
    const { spec } = api.job(random.pick(names)).record;
    const change = random.pick(['command', 'command', 'command', 'count', 'size', 'version', 'pace']);
    const changed = structuredClone(spec);
    if (change === 'command') changed.task_configuration.command += '.';
    if (change === 'size') changed.task_configuration.mem = random.pick([128, 512, 1024]);
    if (change === 'version') changed.version = `1.${random.int(0, 9)}`;
    if (change === 'pace') changed.update.max_parallel = random.int(1, 3);
    if (change === 'count')
      for (const entry of Object.values(changed.deployment_layout)) entry.count = random.int(0, 4);
    await this.#send(api, [changed]);
  }

  async #send(api: ClusterApi, jobs: readonly object[]): Promise<void> {
    const dryRun = this.#random.chance(0.05);
    const { changes } = await api.apply(JSON.stringify(jobs), { source: 'jobs', dryRun, by: 'anna' });
    const what = changes.map(({ job, change, version }) => `${job} ${change} (version ${version})`).join(', ');
    this.#world.tell(`people: applied${dryRun ? ' for show' : ''}: ${what}`);
  }

  #job(name: string): object {
    const random = this.#random;
    const once = name === 'batch';
    const behaviour = once ? 'exits' : random.pick(['steady', 'steady', 'steady', 'steady', 'slow', 'flaps', 'ails']);
    const zones = ZONES.filter(() => random.chance(0.5));
    return {
      task_configuration: {
        name,
        command: `sim ${behaviour} ${random.int(1, 3)}`,
        cpu: random.pick([0.25, 0.5, 1, 1.5]),
        mem: random.pick([128, 512, 1024]),
        stop_timeout: random.int(1, 8),
        allow_exit: once,
        ...(random.chance(0.3) && { health_check: { command: 'true' } }),
      },
      deployment_layout: Object.fromEntries(zones.map((zone) => [zone, { count: random.int(0, 4) }])),
      ...(random.chance(0.3) && { deployment_recipe: 'sim' }),
      ...(random.chance(0.1) && { persistent: false }),
      update: { max_parallel: random.pick([1, 1, 2, 3]), min_healthy: random.pick([0, 1, 5]) },
    };
  }

  #follower(name: string, leader: string): object {
    const random = this.#random;
    return {
      task_configuration: {
        name,
        command: `sim steady ${random.int(1, 2)}`,
        cpu: random.pick([0.1, 0.2]),
        mem: random.pick([64, 128]),
        stop_timeout: 2,
      },
      linked_job: leader,
      update: { max_parallel: random.pick([1, 2]), min_healthy: random.pick([0, 1]) },
    };
  }

  #ask(what: string, question: (api: ClusterApi) => Promise<void>): void {
    const sitter = this.#sitter();
    if (!sitter || sitter.process.frozen) return;
    this.#asked += 1;
    const number = this.#asked;
    question(sitter.api).then(
      () => undefined,
      (error: Error) => {
        const code = error instanceof CerebroError ? error.code : 'no code';
        this.#world.tell(`people: ${what} (${number}): ${code}: ${error.message.split('\n')[0]}`);
        if (!FAIR_ANSWERS.has(code))
          this.#world.violate('people get fair answers', `${what}: ${error.stack ?? error.message}`);
      },
    );
  }
}

/** Everything that can be looked at, for whatever would throw. */
async function look(api: ClusterApi): Promise<void> {
  api.status();
  for (const { name } of api.jobs()) await api.explain(name);
  for (const { id } of api.machines()) await api.explain(id);
  for (const { copy } of api.copies()) await api.explain(copy);
  await api.events({ limit: 20 });
}
