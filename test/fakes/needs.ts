import type { Test } from 'tap';

/**
 * For a test that needs a part of the system: runs on when it is there, skips with what to install when it is not.
 * With CEREBRO_TEST_ALL=1 (as .ci/run has it) everything must be there.
 */
export function skipUnless(t: Test, there: boolean, what: string): boolean {
  if (there) return false;
  if (process.env.CEREBRO_TEST_ALL === '1') t.fail(`CEREBRO_TEST_ALL=1 allows no skip, but ${what}`);
  else t.comment(`skipped: ${what}`);
  return true;
}

/** For a test of real cgroup v2: true where it has to be left to `npm run test:vm`, which runs it in a guest that has that. */
export function needsCgroup2(t: Test, answer: { works: true } | { works: false; sentence: string }): boolean {
  if (answer.works) return false;
  if (process.env.CEREBRO_VM === '1') t.fail(`the guest must have cgroup v2, but ${answer.sentence}`);
  else t.comment(`left to npm run test:vm: ${answer.sentence}`);
  return true;
}
