import t from 'tap';
import { dnsAbout } from '../../core/decide/dns/dns-about.ts';
import type { DnsNameView, DnsView } from '../../core/model/dns.ts';

function named(name: string, job: string, change: Partial<DnsNameView> = {}): DnsNameView {
  const at = { provider: 'names', zone: 'test', owner: 'cerebro', ttl: 30, changedAt: null, lastError: null };
  const holds = { values: ['10.0.0.1'], wanted: ['10.0.0.1'] };
  return {
    name,
    kind: 'pool',
    job,
    copy: null,
    state: 'published',
    ...holds,
    ...at,
    reason: 'one is ready',
    ...change,
  };
}
const view: DnsView = {
  providers: ['names'],
  names: [
    named('local-a.web.test', 'web'),
    named('0.local-a.web.test', 'web', { kind: 'copy', copy: 'web.1', state: 'failing', lastError: 'nobody answers' }),
    named('1.local-a.web.test', 'web', { state: 'foreign', owner: 'somebody else', reason: 'it is left alone' }),
    named('local-a.db.test', 'data base', { state: 'pending' }),
  ],
  aliases: [
    {
      job: 'web',
      name: 'web.test',
      targets: ['local-a.web.test'],
      state: 'there',
      reason: 'it leads there',
      checkedAt: null,
    },
  ],
  attention: ['"data base": its names wait: names did not answer', '2 names are not as wanted yet'],
  checkedAt: null,
};
const found = (about: string): string[] => dnsAbout(view, about).names.map(({ name }) => name);

t.test('a name, a basename with all below it, a job', async (t) => {
  t.same(found('0.local-a.web.test'), ['0.local-a.web.test']);
  t.same(found('LOCAL-A.web.test.').length, 3, 'in capitals too, and with the final dot');
  t.same(found('web.test').length, 3);
  t.same(found('data base'), ['local-a.db.test']);
  t.same(dnsAbout(view, 'web').aliases.length, 1);
  t.same(dnsAbout(view, '0.local-a.web.test').aliases, []);
});

t.test('what is not as it should be, of these and of no others', async (t) => {
  t.same(dnsAbout(view, 'local-a.db.test').attention, [
    '"data base": its names wait: names did not answer',
    'local-a.db.test is on its way: one is ready',
  ]);
  t.same(dnsAbout(view, 'web').attention, [
    '0.local-a.web.test is not as wanted yet: nobody answers',
    "1.local-a.web.test is somebody else's (10.0.0.1): it is left alone",
  ]);
});

t.test('what is no name is said, and what may have been meant', async (t) => {
  t.throws(() => dnsAbout(view, 'local-b.web.test'), {
    code: 'not_found',
    message: /^there is no DNS name, basename or job "local-b\.web\.test"; did you mean "local-a\.web\.test"/,
  });
});
