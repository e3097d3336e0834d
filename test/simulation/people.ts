import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import { CerebroError } from '../../core/errors.ts';
import { ZONES } from './cloud.ts';
import { changedJob, JOBS, LINKED, PLAIN, someFollower, someJob } from './job-files.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** What people may be told when something does not go: anything else is a fault of ours. */
const FAIR_ANSWERS = new Set(['invalid', 'conflict', 'not_found', 'unavailable', 'no_space', 'timeout', 'ambiguous']);
const TIDY_MS = 5000;

type Wish = (api: ClusterApi, random: SeededRandom) => Promise<unknown>;

/** What people ask for, and how often. */
const WISHES: readonly (readonly [weight: number, name: string, wish: Wish])[] = [
  [35, 'apply', applySomething],
  [30, 'change', changeSomething],
  [6, 'remove', (api, random) => api.removeJob(random.pick(JOBS), 'anna')],
  [4, 'scale', (api, random) => api.scaleJob(random.pick(PLAIN), null, random.int(0, 1), 'anna')],
  [3, 'stop', (api, random) => api.stopJob(random.pick(JOBS), 'anna')],
  [6, 'start', async (api, random) => api.startJob(random.pick(JOBS), 'anna')],
  [5, 'roll back', (api, random) => api.rollBack(random.pick(JOBS), null, 'bert')],
  [3, 'pause', (api, random) => api.rollOut(random.pick(JOBS), 'pause', 'bert')],
  [5, 'resume', (api, random) => api.rollOut(random.pick(JOBS), 'resume', 'bert')],
  [2, 'promote', (api, random) => api.rollOut(random.pick(JOBS), 'promote', 'bert')],
  [3, 'run', (api) => api.runJob('batch', 'bert')],
  [2, 'stop run', (api, random) => api.stopRun(random.pick(['batch', 'tick']), null, 'bert')],
  [4, 'restart', (api, random) => api.restartCopies({ job: random.pick(JOBS) }, 'bert')],
  [2, 'restart one', (api, random) => api.restartCopies({ copy: someCopy(api, random) }, 'bert')],
  [8, 'drain', (api, random) => api.drainMachine(someMachine(api, random), 'carl', random.pick([0, 0, 20]))],
  [2, 'cancel drain', (api, random) => api.cancelDrain(someMachine(api, random), 'carl')],
  [2, 'cordon', (api, random) => api.cordonMachine(someMachine(api, random), random.chance(0.5), 'carl')],
  [3, 'replace', (api, random) => api.replaceMachine(someMachine(api, random), 'carl')],
  [6, 'idle limit', (api, random) => api.setIdleLimit(random.int(-1, 2), random.pick([null, ...ZONES]), 'carl')],
  [4, 'look', lookAtEverything],
];

/** People who want now this and now that, and do not wait until the last thing was done. */
export class People {
  readonly #world: World;
  readonly #random: SeededRandom;
  /** How the cluster sitter is asked now; null: there is none. */
  readonly #sitter: () => { api: ClusterApi; process: SitterProcess } | null;

  constructor(world: World, sitter: () => { api: ClusterApi; process: SitterProcess } | null) {
    this.#world = world;
    this.#random = world.random.fork('people');
    this.#sitter = sitter;
  }

  /** Asks for something every few seconds, until there is calm. */
  begin(): void {
    const next = (): void => {
      if (this.#world.calm) return;
      this.#ask(...this.#someWish());
      this.#world.after(this.#random.between(500, 8000), next);
    };
    this.#world.after(this.#random.between(10, 1000), () => this.#ask('apply', applyFirst));
    this.#world.after(this.#random.between(100, 10_000), next);
  }

  /** Lets go on what they left standing, and stops what never rests by its nature; again and again, for nobody may be there to hear it. */
  tidy(): void {
    const sitter = this.#sitter();
    for (const { name } of sitter && !sitter.process.frozen ? sitter.api.jobs() : []) {
      const { rollout, stopped, state, spec } = sitter?.api.job(name).record ?? {};
      if (state !== 'active') continue;
      if (spec?.schedule !== undefined && !stopped) this.#ask(`stop ${name}`, (api) => api.stopJob(name, 'dora'));
      else if (rollout && (rollout.paused || rollout.failed !== null))
        this.#ask(`resume ${name}`, (api) => api.rollOut(name, 'resume', 'dora'));
    }
    this.#world.after(TIDY_MS, () => this.tidy());
  }

  #someWish(): [string, Wish] {
    let left = this.#random.next() * WISHES.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, name, wish] of WISHES) {
      left -= weight;
      if (left < 0) return [name, wish];
    }
    return ['look', lookAtEverything];
  }

  #ask(what: string, wish: Wish): void {
    const sitter = this.#sitter();
    if (!sitter || sitter.process.frozen) return;
    // An async function, so that what is thrown at once is an answer too.
    const asked = (async () => wish(sitter.api, this.#random))();
    asked.then(
      (answer) => this.#world.tell(`people: ${what}${typeof answer === 'string' ? `: ${answer}` : ''}`),
      (error: Error) => {
        const code = error instanceof CerebroError ? error.code : 'no code';
        this.#world.tell(`people: ${what}: ${code}: ${error.message.split('\n')[0]}`);
        if (!FAIR_ANSWERS.has(code))
          this.#world.violate('people get fair answers', `${what}: ${error.stack ?? error.message}`);
      },
    );
  }
}

/** A life begins with something to lose: a leader and its follower, what ends, and one more. */
async function applyFirst(api: ClusterApi, random: SeededRandom): Promise<string> {
  const jobs = new Map<string, object>([['web', someJob(random, 'web')]]);
  if (random.chance(0.7)) jobs.set('log', someFollower(random, 'log', 'web'));
  for (const name of ['batch', random.pick(PLAIN)] as const)
    if (random.chance(0.6)) jobs.set(name, someJob(random, name));
  return send(api, random, [...jobs.values()]);
}

async function applySomething(api: ClusterApi, random: SeededRandom): Promise<string> {
  const jobs = new Map<string, object>();
  for (let n = random.int(1, 2); n > 0; n--) {
    const name = random.pick(PLAIN);
    jobs.set(name, someJob(random, name));
  }
  if (random.chance(0.4)) {
    const [name, leader] = random.pick(LINKED);
    jobs.set(name, someFollower(random, name, leader));
  }
  return send(api, random, [...jobs.values()]);
}

async function changeSomething(api: ClusterApi, random: SeededRandom): Promise<string> {
  const names = api.jobs().map(({ name }) => name);
  if (names.length === 0) return 'there is nothing to change';
  return send(api, random, [changedJob(random, api.job(random.pick(names)).record.spec)]);
}

async function send(api: ClusterApi, random: SeededRandom, jobs: readonly object[]): Promise<string> {
  const dryRun = random.chance(0.05);
  const { changes } = await api.apply(JSON.stringify(jobs), { source: 'jobs', dryRun, by: 'anna' });
  return changes.map(({ job, change, version }) => `${job} ${change} (version ${version})`).join(', ');
}

/** Everything that can be looked at, for whatever would throw. */
async function lookAtEverything(api: ClusterApi): Promise<void> {
  api.status();
  for (const { name } of api.jobs()) await api.explain(name);
  for (const { name } of api.jobs()) api.versions(name);
  for (const { id } of api.machines()) await api.explain(id);
  for (const { copy } of api.copies()) await api.explain(copy);
  api.dns();
  await api.events({ limit: 20 });
}

function someMachine(api: ClusterApi, random: SeededRandom): string {
  return random.pick(['no machine at all', ...api.machines().map(({ id }) => id)]);
}

function someCopy(api: ClusterApi, random: SeededRandom): string {
  return random.pick(['no copy at all', ...api.copies().map(({ copy }) => copy)]);
}
