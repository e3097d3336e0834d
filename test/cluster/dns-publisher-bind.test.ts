import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { bind } from '../providers/dns-server-kinds.ts';
import { programPath, RealDnsServer } from '../providers/real-dns-server.ts';
import { eventually } from '../suites/eventually.ts';
import { DnsBench } from './dns-bench.ts';

const ZONE = 'startup.co.test';
const POOL = `local-a.web.${ZONE}`;

t.test('names in a zone of BIND’s, through a restart, by-passers and a removal', async (t) => {
  const there = ['dig', 'nsupdate', 'named'].every((program) => programPath(program) !== null);
  if (skipUnless(t, there, `this needs BIND: apt-get install ${bind.packages}`)) return;
  const server = new RealDnsServer(bind, [ZONE], 'hmac-sha256');
  t.teardown(() => server.remove());
  await server.start();
  const bench = new DnsBench();
  const begin = async (): Promise<Rfc2136Provider> => {
    const { host, port, keyFile } = server;
    const options = config.parse({ servers: [{ host, port, key_file: keyFile, timeout: 30 }] });
    const services = { clock: new SystemClock(), logger: silentLogger, dataDir: server.folder };
    const provider = new Rfc2136Provider(services, options);
    await provider.start();
    bench.providers = [provider];
    await bench.beginAgain();
    return provider;
  };
  let provider = await begin();
  t.teardown(async () => {
    await bench.end();
    await provider.stop();
  });
  const at = async (name: string): Promise<string[]> => (await server.dig(name, 'A')).map(({ value }) => value).sort();
  const byHand = (name: string, address: string): Promise<void> =>
    server.nsupdate(`update delete ${name} A`, `update add ${name} 1 A ${address}`);
  const answers = (name: string, values: string[]): Promise<void> =>
    eventually(async () => JSON.stringify(await at(name)) === JSON.stringify(values), `${name} is ${values}`);

  await byHand(`1.${POOL}`, '203.0.113.9');
  await bench.runs('web', 2, { dns_basename: `web.${ZONE}` });
  await answers(POOL, ['10.0.0.1', '10.0.0.2']);
  await answers(`0.${POOL}`, ['10.0.0.1']);
  await answers(`2.${POOL}`, ['10.0.0.2']);
  t.same(await at(`1.${POOL}`), ['203.0.113.9'], 'somebody else’s number is left alone');

  await provider.stop();
  provider = await begin();
  await byHand(POOL, '203.0.113.7');
  await bench.publisher.check();
  await answers(POOL, ['10.0.0.1', '10.0.0.2']);
  t.ok(bench.events('dns-drift').length > 0, 'what was changed by hand is mended');

  const job = bench.cluster.jobs.get('web');
  if (job) bench.cluster.jobs.set('web', { ...job, state: 'removing' });
  await bench.stops('web.1');
  await bench.stops('web.2');
  // The records stay a while longer: a change that is late on its way would be seen and undone.
  const gone = (): boolean => [...bench.records.dns.values()].every(({ published, marked }) => !published && !marked);
  await eventually(gone, 'all names are gone');
  for (const name of [POOL, `0.${POOL}`, `2.${POOL}`]) t.same(await at(name), []);
  t.same(await server.dig(`_cerebro.${POOL}`, 'TXT'), [], 'no mark is left behind');
  t.same(await at(`1.${POOL}`), ['203.0.113.9']);
});
