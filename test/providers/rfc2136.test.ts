import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put } from '../suites/dns-look.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';
import { bind, knot, powerDns } from './dns-server-kinds.ts';
import { programPath, RealDnsServer, textOf } from './real-dns-server.ts';

/** One for each case of the suite, with room for more. */
const ZONES = Array.from({ length: 60 }, (_, n) => `z${n}.co.test`);
/** For an answer; hosts can be slow. */
const TIMEOUT_S = 30;
/** More than an update can hold in one message. */
const MANY_NAMES = 2000;

const cases = [bind, knot, powerDns].flatMap((kind) => [
  { kind, transport: 'udp' as const, algorithm: 'hmac-sha256' as const },
  { kind, transport: 'tcp' as const, algorithm: 'hmac-sha512' as const },
]);

for (const { kind, transport, algorithm } of cases) {
  t.test(`dns-rfc2136 with ${kind.name} by ${transport}, ${algorithm}`, async (t) => {
    const there = ['dig', 'nsupdate', kind.program].every((program) => programPath(program) !== null);
    if (skipUnless(t, there, `this needs ${kind.name}: apt-get install ${kind.packages}`)) return;
    const server = new RealDnsServer(kind, [...ZONES, ...ZONES.map((zone) => `eu.${zone}`)], algorithm);
    t.teardown(() => server.remove());
    await server.start();
    let used = 0;
    const options = { host: server.host, port: server.port, key_file: server.keyFile, transport, timeout: TIMEOUT_S };
    const services = { clock: new SystemClock(), logger: silentLogger, dataDir: join(server.folder, 'data') };
    const provider = (): Rfc2136Provider => new Rfc2136Provider(services, config.parse({ servers: [options] }));
    const make = async (): Promise<DnsUnderTest> => {
      const zone = ZONES[used++] ?? '';
      return {
        provider: provider(),
        zone,
        innerZone: `eu.${zone}`,
        look: (name, type) => look(server, name, type),
        foreign: (name, type, values) =>
          server.nsupdate(
            `zone ${zone}`,
            `update delete ${name} ${type}`,
            ...values.map((value) => `update add ${name} 300 ${type} ${type === 'A' ? value : `"${value}"`}`),
          ),
        atomic: true,
        again: provider,
        goDown: () => server.crash(),
        cleanUp: () => server.resume(),
      };
    };
    for (const { name, run } of dnsProviderSuite(make)) await t.test(name, async (t) => run(t));

    // The update does not fit into one message, and the transfer comes in many, of which each server signs as it likes.
    await t.test('thousands of names are written, and listed', async (t) => {
      const { provider, zone } = await make();
      t.teardown(() => provider.stop());
      await provider.start();
      const names = Array.from({ length: MANY_NAMES }, (_, n) => `${n}.${'x'.repeat(60)}.many.${zone}`);
      await provider.apply(
        zone,
        names.map((name, n) => put(name, 'A', [`10.0.${n >> 8}.${n & 255}`])),
      );
      const listed = new Map((await provider.list(`many.${zone}`)).map(({ name, values }) => [name, values[0]]));
      t.equal(listed.size, MANY_NAMES);
      t.equal(listed.get(names[MANY_NAMES - 1] ?? ''), `10.0.${(MANY_NAMES - 1) >> 8}.${(MANY_NAMES - 1) & 255}`);
    });
  });
}

async function look(
  server: RealDnsServer,
  name: string,
  type: 'A' | 'TXT',
): Promise<{ ttl: number; values: string[] } | null> {
  const found = (await server.dig(name, type)).filter((record) => record.type === type);
  if (found.length === 0) return null;
  return { ttl: found[0]?.ttl ?? -1, values: found.map(({ value }) => (type === 'A' ? value : textOf(value))) };
}
