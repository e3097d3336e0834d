import type { DnsProvider } from '../../core/contracts/dns-provider.ts';
import { changeCases } from './dns-change-cases.ts';
import { dnsCase, put, remove, seen } from './dns-look.ts';
import type { Suite } from './suite.ts';

/** What somebody who asks the server itself is told; null: there is nothing of that name and type. */
export type Look = (name: string, type: 'A' | 'TXT') => Promise<{ ttl: number; values: string[] } | null>;

export interface DnsUnderTest {
  /** Not started. */
  provider: DnsProvider;
  /** Empty but for what every zone has, and nobody else's. At most 60 octets long. */
  zone: string;
  /** Asks from outside, by another way than the provider's own. TXT values are whole texts, not their pieces. */
  look: Look;
  /** Puts a record set there from outside, in the place of what was there, as somebody else would. */
  foreign(name: string, type: 'A' | 'TXT', values: readonly string[]): Promise<void>;
  /** A zone of its own inside `zone`, where the part under test can have one; `zoneOf` has to find the inner one. */
  innerZone?: string;
  /** Whether a batch of which one change is refused changes nothing at all. */
  atomic: boolean;
  /** Another one over the same zone, not started, as after a restart. */
  again(): DnsProvider;
  /** Makes the server unreachable. */
  goDown?(): Promise<void>;
  cleanUp(): Promise<void>;
}

export type MakeDnsProvider = () => Promise<DnsUnderTest>;

/** What every `dns-provider` must do. `make` gives a fresh zone each time. */
export function dnsProviderSuite(make: MakeDnsProvider): Suite {
  return [
    dnsCase(make, 'a name belongs to the zone that holds it, found by asking', async (t, { provider, zone }) => {
      t.equal(await provider.zoneOf(`0.aws-us-west-1.redis.${zone}`), zone);
      t.equal(await provider.zoneOf(`redis.${zone}`), zone);
      t.equal(await provider.zoneOf(zone), zone);
    }),
    dnsCase(make, 'a name of nobody’s zone has none, however alike it looks', async (t, { provider, zone }) => {
      t.equal(await provider.zoneOf(`redis.x${zone}`), null);
      t.equal(await provider.zoneOf('redis.not-ours-at-all.invalid'), null);
      t.equal(await provider.zoneOf(`${zone}.invalid`), null);
    }),
    dnsCase(
      make,
      'of two zones that could hold a name, the inner one does',
      async (t, { provider, zone, innerZone }) => {
        if (innerZone === undefined) return;
        t.equal(await provider.zoneOf(`redis.${innerZone}`), innerZone);
        t.equal(await provider.zoneOf(`redis.${zone}`), zone);
      },
    ),
    ...changeCases(make),
    dnsCase(make, 'list gives the A and TXT sets at a name and below it, and no neighbour’s', async (t, under) => {
      const { provider, zone } = under;
      await provider.apply(zone, [
        put(`redis.${zone}`, 'TXT', ['owner']),
        put(`0.local-a.redis.${zone}`, 'A', ['192.0.2.1']),
        put(`local-a.redis.${zone}`, 'A', ['192.0.2.1', '192.0.2.2']),
        put(`xredis.${zone}`, 'A', ['192.0.2.3']),
        put(`other.${zone}`, 'A', ['192.0.2.4']),
      ]);
      await seen(under, `other.${zone}`, 'A', ['192.0.2.4']);
      const sets = (await provider.list(`redis.${zone}`)).map(({ name, type, ttl, values }) => ({
        name,
        type,
        ttl,
        values: [...values].sort(),
      }));
      sets.sort((a, b) => (a.name < b.name ? -1 : 1));
      t.same(sets, [
        { name: `0.local-a.redis.${zone}`, type: 'A', ttl: 30, values: ['192.0.2.1'] },
        { name: `local-a.redis.${zone}`, type: 'A', ttl: 30, values: ['192.0.2.1', '192.0.2.2'] },
        { name: `redis.${zone}`, type: 'TXT', ttl: 30, values: ['owner'] },
      ]);
      t.same(await provider.list(`nothing-here.${zone}`), []);
    }),
    dnsCase(make, 'list gives what others put there too', async (t, under) => {
      const { provider, zone } = under;
      await under.foreign(`theirs.${zone}`, 'A', ['203.0.113.9']);
      await seen(under, `theirs.${zone}`, 'A', ['203.0.113.9']);
      const [set] = await provider.list(`theirs.${zone}`);
      t.equal(set?.name, `theirs.${zone}`);
      t.same(set?.values, ['203.0.113.9']);
    }),
    dnsCase(make, 'what was put is there for another one, as after a restart', async (t, under) => {
      const { provider, zone } = under;
      await provider.apply(zone, [put(`stays.${zone}`, 'A', ['192.0.2.1'])]);
      await provider.stop();
      const again = under.again();
      await again.start();
      try {
        t.same((await again.list(`stays.${zone}`))[0]?.values, ['192.0.2.1']);
        await again.apply(zone, [remove(`stays.${zone}`, 'A', ['192.0.2.1'])]);
        await seen(under, `stays.${zone}`, 'A', null);
      } finally {
        await again.stop();
      }
    }),
    dnsCase(make, 'a server that does not answer is said to be unavailable, within its deadline', async (t, under) => {
      if (!under.goDown) return;
      await under.goDown();
      const error = await under.provider.apply(under.zone, [put(`late.${under.zone}`, 'A', ['192.0.2.1'])]).then(
        () => null,
        (reason: { code?: string }) => reason,
      );
      t.equal(error?.code, 'unavailable');
    }),
    {
      name: 'stop is fine twice, and before start',
      run: async (t) => {
        const under = await make();
        await under.provider.stop();
        await under.provider.start();
        await under.provider.stop();
        await under.provider.stop();
        await under.cleanUp();
        t.ok(true);
      },
    },
  ];
}
