import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put, refusal } from '../suites/dns-look.ts';
import { bind, knot } from './dns-server-kinds.ts';
import { programPath, RealDnsServer } from './real-dns-server.ts';

t.test('of several servers, the one with the longest zone keeps a name', async (t) => {
  const there = ['dig', 'nsupdate', 'named', 'knotd'].every((program) => programPath(program) !== null);
  if (skipUnless(t, there, `this needs BIND and Knot: apt-get install ${bind.packages} ${knot.packages}`)) return;
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-servers-'));
  const outer = new RealDnsServer(bind, ['startup.test', 'both.test'], 'hmac-sha256');
  const inner = new RealDnsServer(knot, ['eu.startup.test', 'both.test'], 'hmac-sha512');
  const ended: Rfc2136Provider[] = [];
  t.teardown(async () => {
    for (const one of ended) await one.stop();
    await outer.remove();
    await inner.remove();
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  });
  await Promise.all([outer.start(), inner.start()]);
  const started = async (): Promise<Rfc2136Provider> => {
    const servers = [outer, inner].map(({ host, port, keyFile }) => ({ host, port, key_file: keyFile, timeout: 30 }));
    const services = { clock: new SystemClock(), logger: silentLogger, dataDir: folder };
    const made = new Rfc2136Provider(
      services,
      config.parse({ servers: [{ ...servers[0], max_values: 50 }, servers[1]] }),
    );
    ended.push(made);
    await made.start();
    return made;
  };
  const provider = await started();
  t.equal(provider.maxValues, 50);

  t.equal(await provider.zoneOf('redis.startup.test'), 'startup.test');
  t.equal(await provider.zoneOf('redis.eu.startup.test'), 'eu.startup.test');
  t.equal(await provider.zoneOf('redis.elsewhere.test'), null);
  await provider.apply('eu.startup.test', [put('redis.eu.startup.test', 'A', ['192.0.2.1'])]);
  await provider.apply('both.test', [put('redis.both.test', 'A', ['192.0.2.2'])]);
  t.equal((await inner.dig('redis.eu.startup.test', 'A'))[0]?.value, '192.0.2.1');
  t.equal((await outer.dig('redis.both.test', 'A'))[0]?.value, '192.0.2.2');
  t.same(await inner.dig('redis.both.test', 'A'), []);
  t.equal((await provider.list('redis.eu.startup.test')).length, 1);

  // Another one knows nothing yet of what is where, and is told by its records only.
  const again = await started();
  await again.apply('startup.test', [put('redis.startup.test', 'A', ['192.0.2.3'])]);
  t.equal((await outer.dig('redis.startup.test', 'A'))[0]?.value, '192.0.2.3');
  t.equal((await refusal(again.apply('not.there', [put('a.not.there', 'A', ['192.0.2.1'])]))).code, 'invalid');

  // While one is down, the other's zones are kept, and where a new name belongs is not known.
  await inner.crash();
  await provider.apply('both.test', [put('more.both.test', 'A', ['192.0.2.4'])]);
  t.equal((await refusal(provider.zoneOf('redis.startup.test'))).code, 'unavailable');
});
