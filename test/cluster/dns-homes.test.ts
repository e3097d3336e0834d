import t from 'tap';
import { DnsHomes } from '../../core/cluster/dns/dns-homes.ts';
import { CerebroError } from '../../core/errors.ts';
import { FakeDnsProvider } from '../fakes/fake-dns-provider.ts';
import { QuickClock } from '../fakes/quick-clock.ts';

function serving(name: string, ...zones: string[]): FakeDnsProvider {
  return new FakeDnsProvider(new Map(zones.map((zone) => [zone, new Map()])), { name });
}

t.test('zones are found by asking, however many labels they have', async (t) => {
  const homes = new DnsHomes([serving('one', 'foo.co.uk'), serving('other', 'com')], new QuickClock(100));
  t.match(await homes.ask('redis.foo.co.uk'), { kind: 'at', provider: 'one', zone: 'foo.co.uk' });
  t.match(await homes.ask('redis.startup.com'), { kind: 'at', provider: 'other', zone: 'com' });
  t.same(await homes.ask('redis.bar.co.uk'), { kind: 'nobody' }, 'of foo.co.uk nothing follows for co.uk');
});

t.test('of several zones the longest has a name, whichever provider it is of', async (t) => {
  const homes = new DnsHomes([serving('wide', 'com'), serving('deep', 'eu.startup.com')], new QuickClock(100));
  t.match(await homes.ask('redis.eu.startup.com'), { provider: 'deep', zone: 'eu.startup.com' });
  t.match(await homes.ask('redis.startup.com'), { provider: 'wide', zone: 'com' });
});

t.test('while one does not answer, no other is given what may be its own; what is known stays', async (t) => {
  const [wide, deep] = [serving('wide', 'com'), serving('deep', 'eu.startup.com')];
  const homes = new DnsHomes([wide, deep], new QuickClock(100));
  await homes.ask('old.eu.startup.com');
  deep.down = new CerebroError('unavailable', 'nobody answers');
  t.match(await homes.ask('new.eu.startup.com'), {
    kind: 'unclear',
    sentence: 'whether deep holds new.eu.startup.com is not known: nobody answers',
  });
  t.match(await homes.ask('old.eu.startup.com'), { kind: 'at', provider: 'deep' });
});
