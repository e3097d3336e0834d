import type { SeededRandom } from '../simulation/seeded-random.ts';
import type { Write } from './history.ts';
import type { SitterUnderTest } from './sitter-under-test.ts';

/** Jobs with copies; the last one's number changes, so machines come and go. */
const JOBS = ['alpha', 'beta', 'gamma', 'delta'] as const;
/** Jobs without copies: changes that cost nothing, and many of them. */
const NOTES = ['note-1', 'note-2', 'note-3'] as const;
const COPIES = 2;
const PEOPLE = 4;
/** A busy host may be late with its answers, and its first leader late with its lease. */
const FIRST_TRIES = 60;
const FIRST_PAUSE_MS = 1000;

/** People who apply job files, each at any of the cluster sitters, some of them to the same job at the same time. */
export class People {
  readonly writes: Write[] = [];
  readonly #sitters: readonly SitterUnderTest[];
  readonly #run: string;
  #going = true;
  #at: Promise<unknown> = Promise.resolve();

  /** `run`: in the environment of every task, so that the processes of this run are known. */
  constructor(sitters: readonly SitterUnderTest[], run: string) {
    this.#sitters = sitters;
    this.#run = run;
  }

  /** One write to each job, so that all are there. */
  async begin(random: SeededRandom): Promise<void> {
    for (const job of [...JOBS, ...NOTES]) {
      let made = false;
      for (let n = 1; n <= FIRST_TRIES && !made; n++) {
        if (n > 1) await pause(FIRST_PAUSE_MS);
        made = (await this.#apply(job, `first-${job}-${n}`, 0, random)).outcome === 'acknowledged';
      }
      if (!made) throw new Error(`${job} could not be made`);
    }
  }

  start(random: SeededRandom): void {
    const lives = Array.from({ length: PEOPLE }, (_, n) => this.#live(n, random.fork(`person-${n}`)));
    this.#at = Promise.all(lives);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#at;
  }

  async #live(person: number, random: SeededRandom): Promise<void> {
    for (let n = 1; this.#going; n++) {
      const job = random.chance(0.3) ? random.pick(JOBS) : random.pick(NOTES);
      await this.#apply(job, `person-${person}-${n}`, random.int(0, this.#sitters.length - 1), random);
      await pause(random.between(100, 900));
    }
  }

  async #apply(job: string, token: string, sitter: number, random: SeededRandom): Promise<Write> {
    const copies = JOBS.some((name) => name === job) ? (job === 'delta' ? random.int(0, 2) : COPIES) : 0;
    const environment = `{WRITE: ${token}, CEREBRO_CONSISTENCY: "${this.#run}"}`;
    const body = [
      `task_configuration: {name: ${job}, command: exec sleep 100000, cpu: 1, ensure_alive: true, env: ${environment}}`,
      `deployment_layout: {local-a: {count: ${copies}}}`,
      'update: {max_parallel: 2, min_healthy: 0, auto_revert: false, deadline: 3600}',
    ].join('\n');
    const write: Write = { job, token, copies, sitter, invokedAt: performance.now(), endedAt: 0, outcome: 'unknown' };
    this.writes.push(write);
    const headers = { 'content-type': 'text/yaml' };
    const asked = this.#sitters[sitter]?.ask('/api/v1/jobs', { method: 'POST', body, headers });
    const answer = await asked?.catch(() => null); // nobody answers: unknown
    if (answer?.status === 400) throw new Error(`the job file of the test is wrong: ${await answer.text()}`);
    await answer?.arrayBuffer().catch(() => null);
    write.endedAt = performance.now();
    if (answer?.status === 200) write.outcome = 'acknowledged';
    return write;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
