import t from 'tap';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import { FakeDnsProvider } from '../fakes/fake-dns-provider.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';

async function make(maxValues: number | null): Promise<DnsUnderTest> {
  const zone = 'startup.co.test';
  const zones = new Map<string, Map<string, DnsRecordSet>>([zone, `eu.${zone}`].map((name) => [name, new Map()]));
  const again = (): FakeDnsProvider => new FakeDnsProvider(zones, { maxValues });
  const provider = again();
  return {
    provider,
    zone,
    innerZone: `eu.${zone}`,
    look: async (name, type) => {
      const set = zones.get(zone)?.get(`${name}/${type}`);
      return set ? { ttl: set.ttl, values: [...set.values] } : null;
    },
    foreign: async (name, type, values) => {
      zones.get(zone)?.set(`${name}/${type}`, { name, type, ttl: 300, values });
    },
    atomic: true,
    again,
    goDown: async () => {
      provider.down = new CerebroError('unavailable', 'nobody answers');
    },
    cleanUp: async () => undefined,
  };
}

for (const maxValues of [null, 13]) {
  t.test(`dns-fake, ${maxValues ?? 'any number of'} values`, async (t) => {
    for (const { name, run } of dnsProviderSuite(() => make(maxValues))) await t.test(name, async (t) => run(t));
  });
}
