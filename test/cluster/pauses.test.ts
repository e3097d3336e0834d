import t from 'tap';
import { Pauses } from '../../core/cluster/orders/pauses.ts';
import type { Clock, Timer } from '../../core/contracts/clock.ts';

/** A clock that stands until it is moved. Its timers ring in the order in which they were set. */
class StandingClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  timer(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
  }

  get timers(): number {
    return this.#timers.size;
  }
}

const HOUR_MS = 3_600_000;

t.test('what fails again and again pauses longer and longer, until it is done', async (t) => {
  const clock = new StandingClock();
  let over = 0;
  const pauses = new Pauses(clock, (): void => {
    over += 1;
  });
  pauses.add('a');
  t.ok(pauses.holds('a'));
  t.notOk(pauses.holds('b'));
  clock.pass(500);
  t.notOk(pauses.holds('a'));
  t.equal(over, 1);
  pauses.add('a');
  clock.pass(500);
  t.ok(pauses.holds('a'), 'twice as long');
  clock.pass(500);
  t.notOk(pauses.holds('a'));
  pauses.add('a');
  pauses.forget('a');
  t.notOk(pauses.holds('a'));
  t.equal(clock.timers, 0);
  pauses.add('a');
  clock.pass(500);
  t.notOk(pauses.holds('a'), 'from the beginning');
});

t.test('copies that have vanished are forgotten; what still fails is not', async (t) => {
  const clock = new StandingClock();
  const pauses = new Pauses(clock, () => undefined);
  for (let n = 0; n < 1000; n++) pauses.add(`deploy-copy:web.${n}`);
  pauses.add('deploy-copy:db.1');
  t.equal(pauses.size, 1001);
  // It fails once a minute at last; the others are not asked for any more.
  for (let minute = 0; minute < 120; minute++) {
    clock.pass(60_000);
    pauses.add('deploy-copy:db.1');
  }
  t.equal(pauses.size, 1);
  clock.pass(59_000);
  t.ok(pauses.holds('deploy-copy:db.1'), 'it has failed often enough for the longest pause');
  clock.pass(2 * HOUR_MS);
  pauses.add('other');
  t.equal(pauses.size, 1);
  pauses.clear();
  t.equal(clock.timers, 0);
});
