import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../simulation/seeded-random.ts';
import { type Fault, planFaults, sentenceOf } from './fault-plan.ts';
import { Field } from './field.ts';
import { brokenLaws, jobIn } from './laws.ts';
import { MachineWatch } from './machine-watch.ts';
import { People } from './people.ts';
import { unrest, wantedOf } from './rest.ts';
import { storeHistory } from './store-history.ts';

/** How long the cluster may take to be at rest when faults are over. A leader's lease, a machine's loss and its replacement are in it. */
const REST_MS = 180_000;

const seed = process.env.CEREBRO_SEED ?? randomBytes(4).toString('hex');
const minutes = Number(process.env.CEREBRO_CONSISTENCY_MINUTES ?? 0.75);
if (!(minutes > 0)) throw new Error('CEREBRO_CONSISTENCY_MINUTES takes a number of minutes, more than 0');

/** Who ends this before its time has it clean up; a second signal ends it at once. */
const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interrupt.abort(new Error(`ended by ${signal}`)));

/** README.md says what is done. Resolves to what is wrong. */
async function main(): Promise<string[]> {
  console.log(
    `seed ${seed}, ${minutes} minutes of faults; again: CEREBRO_SEED=${seed} CEREBRO_CONSISTENCY_MINUTES=${minutes}`,
  );
  const random = new SeededRandom(seed);
  const plan = planFaults(random.fork('faults'), minutes * 60);
  const field = await Field.make();
  const watch = new MachineWatch(field.machinesFolder);
  const people = new People(field.sitters, seed);
  try {
    await field.up();
    watch.start();
    await people.begin(random.fork('first'));
    people.start(random.fork('people'));
    await carryOut(plan, field);
    interrupt.signal.throwIfAborted();
    await Promise.all(field.sitters.map((sitter) => sitter.up()));
    await people.stop();
    const [member] = field.members;
    if (!member) throw new Error('there is no etcd');
    const { problems, seconds } = await comeToRest(field, people);
    await watch.stop();
    const changes = await storeHistory(member);
    const acknowledged = people.writes.filter(({ outcome }) => outcome === 'acknowledged').length;
    const leads = changes.filter(({ key }) => key === 'epoch').length;
    const lost = changes.filter(({ key, value }) => key.startsWith('data/event/') && kindIn(value) === 'machine-lost');
    console.log(
      `${plan.length} faults; ${people.writes.length} job files applied, ${acknowledged} acknowledged; ${leads} leads, ` +
        `${watch.sightings.size} machines, ${lost.length} of them given up, ${watch.stale.length} commands of older epochs; at rest after ${seconds.toFixed(1)} s; ` +
        `load ${loadavg()
          .map((load) => load.toFixed(1))
          .join(' ')}`,
    );
    const broken = brokenLaws({
      writes: people.writes,
      changes,
      sightings: [...watch.sightings.values()],
      heard: watch.heard(),
      stale: watch.stale,
    });
    for (const problem of [...problems, ...broken]) console.log(`BROKEN  ${problem}`);
    if (problems.length > 0) keepLogs(field);
    return [...problems, ...broken];
  } catch (error) {
    if (!interrupt.signal.aborted) keepLogs(field);
    throw error;
  } finally {
    await people.stop();
    await watch.stop();
    await field.close();
  }
}

/** Each fault in its time; those that last beyond the next begin overlap. */
async function carryOut(plan: readonly Fault[], field: Field): Promise<void> {
  const began = performance.now();
  const { signal } = interrupt;
  const until = (seconds: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, began + seconds * 1000 - performance.now()));
      if (signal.aborted) done();
      else signal.addEventListener('abort', done);
    });
  const under: Promise<void>[] = [];
  for (const fault of plan) {
    await until(fault.at);
    if (signal.aborted) break;
    console.log(sentenceOf(fault));
    under.push(
      (async () => {
        const end = await field.begin(fault);
        await until(fault.at + fault.lasts);
        await end();
      })(),
    );
  }
  await Promise.all(under);
}

/** Waits until all is as it is wanted, or for as long as that may take. */
async function comeToRest(field: Field, people: People): Promise<{ problems: string[]; seconds: number }> {
  const began = performance.now();
  const [member] = field.members;
  for (;;) {
    interrupt.signal.throwIfAborted();
    let problems: string[];
    try {
      const tokens = new Map<string, string>();
      for (const { key, value } of member ? await storeHistory(member) : [])
        if (key.startsWith('data/job/') && value !== null)
          tokens.set(key.slice('data/job/'.length), jobIn(value).token);
      problems = await unrest(field.sitters, wantedOf(people.writes, tokens), seed);
    } catch (error) {
      problems = [`nobody answers: ${error instanceof Error ? error.message : String(error)}`];
    }
    const passed = performance.now() - began;
    if (problems.length === 0 || passed > REST_MS)
      return {
        problems: problems.map((problem) => `not at rest after ${REST_MS / 1000} s: ${problem}`),
        seconds: passed / 1000,
      };
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function kindIn(event: string | null): unknown {
  return event === null ? null : JSON.parse(event).kind;
}

/** What the cluster sitters' own logs say, for whoever has to find out. */
function keepLogs(field: Field): void {
  for (const [n, { program }] of field.sitters.entries()) {
    const file = join(tmpdir(), `cerebro-consistency-${seed}-sitter-${n}.log`);
    copyFileSync(join(program.dataDir, 'cerebro.log'), file);
    console.log(`the log of sitter ${n}: ${file}`);
  }
}

const problems = await main();
console.log(problems.length === 0 ? 'all laws hold' : `${problems.length} laws are broken; seed ${seed}`);
process.exitCode = problems.length === 0 ? 0 : 1;
