import type { Change, StateStore } from '../../core/contracts/state-store.ts';
import { eventually } from './eventually.ts';
import type { Suite } from './suite.ts';

/** What every `state-store` must do. `make` gives an empty store that is not started. */
export function stateStoreSuite(make: () => Promise<StateStore>): Suite {
  const withStore = (body: (store: StateStore) => Promise<void>) => async (): Promise<void> => {
    const store = await make();
    await store.start();
    try {
      await body(store);
    } finally {
      await store.stop();
    }
  };
  return [
    {
      name: 'what was put is read back, with the revision of its commit',
      run: (t) =>
        withStore(async (store) => {
          const result = await store.commit({ write: [{ put: 'a/1', value: { n: 1, deep: ['x'] } }] });
          t.ok(result.ok);
          const entry = await store.get('a/1');
          t.same(entry?.value, { n: 1, deep: ['x'] });
          t.equal(entry?.revision, result.ok ? result.revision : -1);
          t.equal(await store.get('a/2'), undefined);
        })(),
    },
    {
      name: 'list gives what begins with the prefix, by key',
      run: (t) =>
        withStore(async (store) => {
          await store.commit({ write: ['b/2', 'a/1', 'b/10', 'b', 'c/1'].map((key) => ({ put: key, value: key })) });
          const { entries } = await store.list('b/');
          t.same(
            entries.map((entry) => entry.key),
            ['b/10', 'b/2'],
          );
          t.equal((await store.list('')).entries.length, 5);
        })(),
    },
    {
      name: 'a commit whose condition fails changes nothing and names the keys',
      run: (t) =>
        withStore(async (store) => {
          const first = await store.commit({ when: [{ key: 'a', revision: 0 }], write: [{ put: 'a', value: 1 }] });
          t.ok(first.ok);
          const again = await store.commit({
            when: [{ key: 'a', revision: 0 }],
            write: [
              { put: 'a', value: 2 },
              { put: 'b', value: 2 },
            ],
          });
          t.same(again, { ok: false, failed: ['a'] });
          t.equal((await store.get('a'))?.value, 1);
          t.equal(await store.get('b'), undefined);
          const right = await store.commit({
            when: [{ key: 'a', revision: first.ok ? first.revision : -1 }],
            write: [{ put: 'a', value: 3 }],
          });
          t.ok(right.ok);
        })(),
    },
    {
      name: 'of two commits on the same condition at once, one wins',
      run: (t) =>
        withStore(async (store) => {
          const results = await Promise.all(
            [1, 2, 3, 4].map((n) =>
              store.commit({ when: [{ key: 'a', revision: 0 }], write: [{ put: 'a', value: n }] }),
            ),
          );
          t.equal(results.filter((result) => result.ok).length, 1);
        })(),
    },
    {
      name: 'a deleted key is as one that never was',
      run: (t) =>
        withStore(async (store) => {
          await store.commit({ write: [{ put: 'a', value: 1 }] });
          await store.commit({ write: [{ delete: 'a' }] });
          t.equal(await store.get('a'), undefined);
          t.ok((await store.commit({ when: [{ key: 'a', revision: 0 }], write: [{ put: 'a', value: 2 }] })).ok);
        })(),
    },
    {
      name: 'revisions are one growing sequence',
      run: (t) =>
        withStore(async (store) => {
          const revisions: number[] = [];
          for (let i = 0; i < 5; i++) {
            const result = await store.commit({ write: [{ put: `k${i}`, value: i }] });
            if (result.ok) revisions.push(result.revision);
          }
          t.same(
            revisions,
            [...revisions].sort((a, b) => a - b),
          );
          t.equal(new Set(revisions).size, 5);
          t.equal((await store.list('')).revision, revisions.at(-1));
        })(),
    },
    {
      name: 'a watch hears every change after its revision once, in order, under its prefix',
      run: (t) =>
        withStore(async (store) => {
          await store.commit({ write: [{ put: 'w/0', value: 0 }] });
          const { revision } = await store.list('');
          await store.commit({
            write: [
              { put: 'w/1', value: 1 },
              { put: 'other', value: 1 },
            ],
          });
          const heard: Change[] = [];
          const watch = store.watch(
            'w/',
            revision,
            (changes) => heard.push(...changes),
            (error) => t.fail(error.message),
          );
          await store.commit({ write: [{ put: 'w/2', value: 2 }] });
          await store.commit({ write: [{ delete: 'w/1' }] });
          await eventually(() => heard.length >= 3, 'three changes are heard');
          watch.close();
          await store.commit({ write: [{ put: 'w/3', value: 3 }] });
          t.same(
            heard.map(({ key, value }) => [key, value]),
            [
              ['w/1', 1],
              ['w/2', 2],
              ['w/1', null],
            ],
          );
        })(),
    },
    {
      name: 'the epoch grows with every lead that is given',
      run: (t) =>
        withStore(async (store) => {
          const first = await store.lead('one', AbortSignal.timeout(10_000));
          t.ok(first.remainingMs() > 0);
          await first.release();
          const second = await store.lead('two', AbortSignal.timeout(10_000));
          t.ok(second.epoch > first.epoch);
          // A day of difference between two clocks is no matter here.
          t.ok(first.epoch >= Date.now() / 1000 - 86_400);
          await second.release();
        })(),
    },
    {
      name: 'stop is fine twice, and before start',
      run: async (t) => {
        const store = await make();
        await store.stop();
        await store.start();
        await store.stop();
        await store.stop();
        t.ok(true);
      },
    },
  ];
}
