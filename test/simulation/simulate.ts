import { parseArgs } from 'node:util';
import { type Life, live } from './life.ts';

/** `npm run simulate -- --seed N`: one life, with its timeline. `-- --seeds N [--from M]`: many, until one fails. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, seeds: { type: 'string' }, from: { type: 'string' } },
  });
  const whole = (name: 'seed' | 'seeds' | 'from', fallback: number): number => {
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
  const [count, from] = [whole('seeds', 300), whole('from', 1)];
  const began = performance.now();
  const failed: Life[] = [];
  let longest = 0;
  for (let seed = from; seed < from + count; seed++) {
    const life = await live(seed);
    longest = Math.max(longest, life.restAfter);
    if (!life.violation) continue;
    failed.push({ ...life, timeline: [] });
    console.log(verdict(life));
    if (failed.length >= 20) break;
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `${count} lives from seed ${from} in ${seconds} s; ${failed.length} failed; at rest within ${longest.toFixed(0)} s`,
  );
  return failed.length > 0 ? 1 : 0;
}

function verdict({ seed, violation, seconds, restAfter, commits }: Life): string {
  return violation
    ? `seed ${seed}, after ${seconds.toFixed(3)} s: "${violation.invariant}" does not hold: ${violation.sentence}`
    : `seed ${seed}: all is well; ${commits} commits, at rest ${restAfter.toFixed(1)} s after the last fault`;
}

process.exitCode = await main();
