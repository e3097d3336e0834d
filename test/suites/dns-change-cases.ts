import { dnsCase, put, refusal, remove, seen } from './dns-look.ts';
import type { MakeDnsProvider } from './dns-provider-suite.ts';
import type { Suite } from './suite.ts';

/** Values of one A set that no answer by UDP holds without being cut. */
const MANY = 60;

/** What `apply` does, and what it refuses to. */
export function changeCases(make: MakeDnsProvider): Suite {
  return [
    dnsCase(make, 'what was put is answered, with its values and its TTL', async (t, under) => {
      const { provider, zone } = under;
      await provider.apply(zone, [put(`0.local-a.redis.${zone}`, 'A', ['192.0.2.1', '192.0.2.2'], null, 45)]);
      await seen(under, `0.local-a.redis.${zone}`, 'A', ['192.0.2.1', '192.0.2.2'], 45);
      t.equal(await under.look(`0.local-a.redis.${zone}`, 'TXT'), null);
    }),
    dnsCase(make, 'values are changed, and what is not in the new set is gone', async (t, under) => {
      const { provider, zone } = under;
      const name = `pool.${zone}`;
      await provider.apply(zone, [put(name, 'A', ['192.0.2.1', '192.0.2.2'])]);
      await provider.apply(zone, [put(name, 'A', ['192.0.2.2', '192.0.2.3'], ['192.0.2.2', '192.0.2.1'])]);
      await seen(under, name, 'A', ['192.0.2.2', '192.0.2.3']);
      await provider.apply(zone, [put(name, 'A', ['192.0.2.3'], ['192.0.2.3', '192.0.2.2'])]);
      await seen(under, name, 'A', ['192.0.2.3']);
      t.equal((await provider.list(name)).length, 1);
    }),
    dnsCase(make, 'the TTL is changed, for the whole set', async (t, under) => {
      const { provider, zone } = under;
      const values = ['192.0.2.1', '192.0.2.2'];
      await provider.apply(zone, [put(`pool.${zone}`, 'A', values, null, 60)]);
      await provider.apply(zone, [put(`pool.${zone}`, 'A', values, values, 90)]);
      await seen(under, `pool.${zone}`, 'A', values, 90);
      t.equal((await provider.list(`pool.${zone}`))[0]?.ttl, 90);
    }),
    dnsCase(make, 'what was removed is gone, and the other type at that name stays', async (t, under) => {
      const { provider, zone } = under;
      const name = `both.${zone}`;
      await provider.apply(zone, [put(name, 'A', ['192.0.2.1']), put(name, 'TXT', ['mine'])]);
      await seen(under, name, 'TXT', ['mine']);
      await provider.apply(zone, [remove(name, 'A', ['192.0.2.1'])]);
      await seen(under, name, 'A', null);
      await seen(under, name, 'TXT', ['mine']);
      t.equal((await provider.list(name)).length, 1);
    }),
    dnsCase(make, 'texts come back as they were given', async (t, under) => {
      const { provider, zone } = under;
      const text = 'heritage=cerebro,cluster=1f2e "quoted" back\\slash semi;colon  two spaces';
      await provider.apply(zone, [put(`_cerebro.${zone}`, 'TXT', [text, 'x'.repeat(200)])]);
      await seen(under, `_cerebro.${zone}`, 'TXT', [text, 'x'.repeat(200)]);
      t.same([...((await provider.list(`_cerebro.${zone}`))[0]?.values ?? [])].sort(), [text, 'x'.repeat(200)].sort());
    }),
    dnsCase(make, 'a batch of many names, puts and removes goes in as one', async (t, under) => {
      const { provider, zone } = under;
      const names = Array.from({ length: 20 }, (_, n) => `${n}.local-a.web.${zone}`);
      await provider.apply(
        zone,
        names.map((name, n) => put(name, 'A', [`192.0.2.${n + 1}`])),
      );
      await provider.apply(
        zone,
        names.map((name, n) =>
          n % 2 === 0
            ? remove(name, 'A', [`192.0.2.${n + 1}`])
            : put(name, 'A', [`198.51.100.${n + 1}`], [`192.0.2.${n + 1}`]),
        ),
      );
      await seen(under, names[19] ?? '', 'A', ['198.51.100.20']);
      await seen(under, names[18] ?? '', 'A', null);
      t.equal((await provider.list(`web.${zone}`)).length, 10);
    }),
    dnsCase(make, 'a batch whose answer was lost is sent again', async (t, under) => {
      const { provider, zone } = under;
      await provider.apply(zone, [put(`old.${zone}`, 'A', ['192.0.2.1'])]);
      const batch = [
        put(`new.${zone}`, 'A', ['192.0.2.2']),
        put(`new.${zone}`, 'TXT', ['owner']),
        remove(`old.${zone}`, 'A', ['192.0.2.1']),
      ];
      for (let n = 0; n < 3; n++) await provider.apply(zone, batch);
      await seen(under, `new.${zone}`, 'A', ['192.0.2.2']);
      await seen(under, `new.${zone}`, 'TXT', ['owner']);
      await seen(under, `old.${zone}`, 'A', null);
      // What was never there is gone already.
      await provider.apply(zone, [remove(`never-was.${zone}`, 'A', ['192.0.2.9'])]);
      await provider.apply(zone, []);
      t.ok(true);
    }),
    dnsCase(make, 'a record of somebody else’s is not touched, and is named', async (t, under) => {
      const { provider, zone } = under;
      const theirs = `theirs.${zone}`;
      await under.foreign(theirs, 'A', ['203.0.113.9']);
      await seen(under, theirs, 'A', ['203.0.113.9']);
      for (const change of [
        put(theirs, 'A', ['192.0.2.1']),
        put(theirs, 'A', ['192.0.2.1'], ['192.0.2.2']),
        remove(theirs, 'A', ['192.0.2.1']),
      ]) {
        const { code, message } = await refusal(provider.apply(zone, [change]));
        t.equal(code, 'conflict');
        t.ok(message.includes(theirs));
      }
      await seen(under, theirs, 'A', ['203.0.113.9']);
      // Nothing else is held up by it, not even at the same name.
      await provider.apply(zone, [put(theirs, 'TXT', ['beside']), put(`mine.${zone}`, 'A', ['192.0.2.1'])]);
      await seen(under, `mine.${zone}`, 'A', ['192.0.2.1']);
      await seen(under, theirs, 'A', ['203.0.113.9']);
    }),
    dnsCase(make, 'a record of ours that somebody changed is left as they made it', async (t, under) => {
      const { provider, zone } = under;
      const name = `drifts.${zone}`;
      await provider.apply(zone, [put(name, 'A', ['192.0.2.1', '192.0.2.2'])]);
      await seen(under, name, 'A', ['192.0.2.1', '192.0.2.2']);
      await under.foreign(name, 'A', ['192.0.2.1']);
      await seen(under, name, 'A', ['192.0.2.1']);
      const changed = await refusal(provider.apply(zone, [put(name, 'A', ['192.0.2.3'], ['192.0.2.1', '192.0.2.2'])]));
      t.equal(changed.code, 'conflict');
      const removed = await refusal(provider.apply(zone, [remove(name, 'A', ['192.0.2.1', '192.0.2.2'])]));
      t.equal(removed.code, 'conflict');
      await seen(under, name, 'A', ['192.0.2.1']);
      // Whoever has looked again may.
      await provider.apply(zone, [put(name, 'A', ['192.0.2.3'], ['192.0.2.1'])]);
      await seen(under, name, 'A', ['192.0.2.3']);
    }),
    dnsCase(make, 'one change that is refused refuses the whole batch, where the server can', async (t, under) => {
      const { provider, zone } = under;
      await under.foreign(`theirs.${zone}`, 'A', ['203.0.113.9']);
      await seen(under, `theirs.${zone}`, 'A', ['203.0.113.9']);
      const batch = [put(`mine.${zone}`, 'A', ['192.0.2.1']), put(`theirs.${zone}`, 'A', ['192.0.2.1'])];
      t.equal((await refusal(provider.apply(zone, batch))).code, 'conflict');
      await seen(under, `theirs.${zone}`, 'A', ['203.0.113.9']);
      if (under.atomic) await seen(under, `mine.${zone}`, 'A', null);
    }),
    dnsCase(make, 'as many values as it says one name can hold go in; one more is refused', async (t, under) => {
      const { provider, zone } = under;
      const most = provider.maxValues ?? MANY;
      const values = Array.from({ length: most }, (_, n) => `198.18.${Math.floor(n / 250)}.${(n % 250) + 1}`);
      await provider.apply(zone, [put(`pool.${zone}`, 'A', values)]);
      await seen(under, `pool.${zone}`, 'A', values);
      if (provider.maxValues === null) return;
      const more = [...values, '198.19.0.1'];
      t.equal((await refusal(provider.apply(zone, [put(`pool.${zone}`, 'A', more, values)]))).code, 'invalid');
      await seen(under, `pool.${zone}`, 'A', values);
    }),
    dnsCase(make, 'what is not in the zone is refused', async (t, { provider, zone }) => {
      const { code } = await refusal(provider.apply(zone, [put('mine.elsewhere.invalid', 'A', ['192.0.2.1'])]));
      t.equal(code, 'invalid');
    }),
    dnsCase(make, 'batches that are sent at once all go in', async (t, under) => {
      const { provider, zone } = under;
      const names = Array.from({ length: 6 }, (_, n) => `at-once-${n}.${zone}`);
      await Promise.all(names.map((name, n) => provider.apply(zone, [put(name, 'A', [`192.0.2.${n + 1}`])])));
      for (const [n, name] of names.entries()) await seen(under, name, 'A', [`192.0.2.${n + 1}`]);
      t.ok(true);
    }),
  ];
}
