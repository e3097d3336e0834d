import { parseArgs } from 'node:util';
import { type Life, live } from './life.ts';
import { liveMany } from './lives.ts';

/** It is enough then. */
const MOST_FAILED = 20;

/** `npm run simulate -- --seed N`: one life, with its timeline. `-- --seeds N [--from M] [--threads T]`: many. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string' },
      threads: { type: 'string' },
    },
  });
  const whole = (name: 'seed' | 'seeds' | 'from' | 'threads', fallback: number): number => {
    const text = values[name];
    if (text === undefined) return fallback;
    if (!/^\d{1,12}$/.test(text)) throw new Error(`--${name} takes a whole number, not "${text}"`);
    return Number(text);
  };
  if (values.seed !== undefined) {
    const life = await live(whole('seed', 0));
    console.log(life.timeline.join('\n'));
    console.log(verdict(life));
    return life.violation ? 1 : 0;
  }
  const [count, from, threads] = [whole('seeds', 300), whole('from', 1), whole('threads', 1)];
  const began = performance.now();
  const tasks = Array.from({ length: count }, (_, n) => ({ seed: from + n, tries: 1 }));
  let [lived, failed, longest] = [0, 0, 0];
  await liveMany(tasks, threads, ({ life }) => {
    lived += 1;
    longest = Math.max(longest, life.restAfter);
    if (life.violation) {
      failed += 1;
      console.log(verdict(life));
    }
    return failed < MOST_FAILED;
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `${lived} lives from seed ${from} in ${seconds} s; ${failed} failed; at rest within ${longest.toFixed(0)} s`,
  );
  return failed > 0 ? 1 : 0;
}

function verdict({ seed, violation, seconds, restAfter, commits }: Life): string {
  return violation
    ? `seed ${seed}, after ${seconds.toFixed(3)} s: "${violation.invariant}" does not hold: ${violation.sentence}`
    : `seed ${seed}: all is well; ${commits} commits, at rest ${restAfter.toFixed(1)} s after the last fault`;
}

process.exitCode = await main();
