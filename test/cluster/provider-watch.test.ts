import t, { type Test } from 'tap';
import { ProviderWatch } from '../../core/cluster/machines/provider-watch.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { eventually } from '../suites/eventually.ts';

/** A watch whose provider answers when the test lets it. */
function watchUnderTest(t: Test) {
  const answers: (() => void)[] = [];
  let change = (): void => undefined;
  const watch = new ProviderWatch({
    provider: {
      onChange: (listener) => {
        change = listener;
      },
    },
    clock: new QuickClock(100),
    look: () => new Promise<void>((resolve) => answers.push(resolve)),
  });
  t.teardown(() => watch.stop(0));
  return { watch, answers, change: () => change() };
}

t.test('a provider that does not answer holds up neither the start nor the stop', async (t) => {
  const { watch, answers } = watchUnderTest(t);
  await watch.start(3000);
  t.equal(answers.length, 1);
  await watch.stop(3000);
  answers[0]?.();
  await new Promise(setImmediate);
  t.equal(answers.length, 1, 'it is not asked any more');
});

t.test('it is never asked twice at once, and again when something changed meanwhile', async (t) => {
  const { watch, answers, change } = watchUnderTest(t);
  const started = watch.start(600_000);
  change();
  change();
  t.equal(answers.length, 1);
  answers[0]?.();
  await eventually(() => answers.length === 2, 'it is asked again');
  answers[1]?.();
  await started;
  await eventually(() => answers.length === 3, 'and by itself after a while');
});
