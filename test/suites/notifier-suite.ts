import type { Test } from 'tap';
import type { Notice, Notifier } from '../../core/contracts/notifier.ts';
import { eventually } from './eventually.ts';

export interface NotifierHarness {
  notifier: Notifier;
  /** What has come out at the other end so far, the sentences of each call. */
  received(): string[];
  /** From now on (or no longer), the other end refuses. */
  refuse(refuse: boolean): void;
}

const notice = (sentence: string, change: Partial<Notice> = {}): Notice => ({
  level: 'error',
  key: sentence,
  sentence,
  at: '2026-01-02T03:04:05.000Z',
  resolved: false,
  ...change,
});

/** What every notifier holds to. */
export async function notifierSuite(t: Test, make: (t: Test) => Promise<NotifierHarness>): Promise<void> {
  await t.test('what is told arrives, all of it in one call', async (t) => {
    const { notifier, received } = await make(t);
    await notifier.notify([notice('web.1 ails'), notice('web.2 ails', { resolved: true })]);
    await eventually(() => received().length === 1, 'one call arrives');
    t.match(received()[0], /web\.1 ails/);
    t.match(received()[0], /web\.2 ails/);
  });

  await t.test('any sentence arrives as it is', async (t) => {
    const { notifier, received } = await make(t);
    await notifier.notify([notice('a "quoted" \\ line\nand $(another) été')]);
    await eventually(() => received().length === 1, 'it arrives');
    t.match(received()[0], 'a "quoted" \\ line\nand $(another) été');
  });

  await t.test('a refusal is thrown, and the next try goes through', async (t) => {
    const { notifier, received, refuse } = await make(t);
    refuse(true);
    await t.rejects(notifier.notify([notice('one')]), { code: 'unavailable' });
    refuse(false);
    await notifier.notify([notice('two')]);
    await eventually(() => received().some((text) => text.includes('two')), 'it arrives');
  });

  await t.test('stop may be called twice, and without a start', async (t) => {
    const { notifier } = await make(t);
    await notifier.stop();
    await t.resolves(notifier.stop());
  });
}
