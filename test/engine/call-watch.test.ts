import t from 'tap';
import type { PluginView } from '../../core/contracts/cluster-api.ts';
import { CallWatch } from '../../core/engine/call-watch.ts';
import { pluginsFor } from '../../core/engine/load-plugins.ts';
import { pluginViews, watchPlugins } from '../../core/engine/plugin-views.ts';
import { CerebroError } from '../../core/errors.ts';
import { healthOf } from '../../plugins/ui-settings/plugins-page.ts';
import { StubbornProvider } from '../fakes/stubborn-provider.ts';

/** As providers are: with private fields, and methods that answer at once, later, or never. */
class Asked {
  readonly name = 'asked';
  readonly #list = ['a'];
  answer: Promise<string> = Promise.resolve('yes');

  async start(): Promise<void> {
    await Promise.resolve();
    this.#list[0] = 'a';
  }

  list(): string[] {
    return this.#list;
  }

  ask(word: string): Promise<string> {
    return this.answer.then((said) => `${this.#list[0]} ${word}: ${said}`);
  }
}

t.test('calls go through as they are, and how they went is noted', async (t) => {
  let now = 1000;
  const watch = new CallWatch({ now: () => now });
  const thing = new Asked();
  const watched = watch.watch(thing);
  t.strictSame(watch.health(), { done: 0, failed: 0, lastDone: null, lastFailed: null, waiting: null });
  await watched.start();
  t.strictSame(watched.list(), ['a']);
  t.equal(watch.health().done, 0, 'neither starting nor what is known at once is counted');
  t.equal(await watched.ask('well'), 'a well: yes');
  t.match(watch.health(), { done: 1, lastDone: { call: 'ask', at: '1970-01-01T00:00:01.000Z' } });
  now = 2000;
  thing.answer = Promise.reject(new CerebroError('unavailable', 'the region is on fire'));
  await t.rejects(watched.ask('well'), { code: 'unavailable', message: 'the region is on fire' });
  t.match(watch.health(), { done: 1, failed: 1, lastFailed: { call: 'ask', message: 'the region is on fire' } });
  let answer: (said: string) => void = () => undefined;
  thing.answer = new Promise((resolve) => {
    answer = resolve;
  });
  const open = watched.ask('still');
  t.match(watch.health().waiting, { call: 'ask', since: '1970-01-01T00:00:02.000Z' });
  answer('at last');
  t.equal(await open, 'a still: at last');
  t.equal(watch.health().waiting, null);
});

t.test('a machine provider tells how it does, and what keeps it from selling', async (t) => {
  const provider = Object.assign(new StubbornProvider(), {
    complaint: (zone: string) => (zone === 'fake-b' ? 'fake-b is closed' : null),
  });
  const clock = { now: () => 5000 };
  const listed = { id: 'provider-fake', point: 'machine-provider', use: './fake', state: 'running' } as const;
  const plugins = watchPlugins([{ ...listed, instance: provider }], clock);
  const [watched] = pluginsFor(plugins, 'machine-provider');
  if (!watched) throw new Error('it is there');
  const view = (): PluginView => {
    const [only] = pluginViews(plugins, ['fake-a', 'fake-b', 'other-b']);
    if (!only) throw new Error('it is there');
    return only;
  };
  t.match(view(), { id: 'provider-fake', calls: { done: 0 }, says: ['fake-b is closed'] });
  t.equal(healthOf(view(), 5000), 'unused');
  await watched.describe('cluster');
  t.match(view(), { calls: { done: 1, lastDone: { call: 'describe' } } });
  t.equal(healthOf(view(), 5000), 'works');
  const never = new Promise<never>(() => undefined);
  provider.describe = () => never;
  void watched.describe('cluster');
  t.equal(healthOf(view(), 5000), 'works', 'an answer may take a while');
  t.equal(healthOf(view(), 500_000), 'silent');
  provider.destroy = () => Promise.reject(new CerebroError('forbidden', 'the account is closed'));
  await t.rejects(watched.destroy('cluster', 'x'));
  t.match(view(), { calls: { failed: 1, lastFailed: { call: 'destroy', message: 'the account is closed' } } });
  t.equal(healthOf(view(), 5000), 'failing');
});
