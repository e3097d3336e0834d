import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { type DnsUnderTest, dnsProviderSuite } from '../suites/index.ts';
import { bind, knot, powerDns } from './dns-server-kinds.ts';
import { programPath, RealDnsServer, textOf } from './real-dns-server.ts';

/** One for each case of the suite, with room for more. */
const ZONES = Array.from({ length: 60 }, (_, n) => `z${n}.co.test`);
/** For an answer; hosts can be slow. */
const TIMEOUT_S = 30;

const cases = [
  { kind: bind, transport: 'udp', algorithm: 'hmac-sha256' },
  { kind: bind, transport: 'tcp', algorithm: 'hmac-sha512' },
  { kind: knot, transport: 'udp', algorithm: 'hmac-sha512' },
  { kind: powerDns, transport: 'udp', algorithm: 'hmac-sha256' },
] as const;

for (const { kind, transport, algorithm } of cases) {
  t.test(`dns-rfc2136 with ${kind.name} by ${transport}, ${algorithm}`, async (t) => {
    const there = ['dig', 'nsupdate', kind.program].every((program) => programPath(program) !== null);
    if (skipUnless(t, there, `this needs ${kind.name}: apt-get install ${kind.packages}`)) return;
    const server = new RealDnsServer(kind, [...ZONES, ...ZONES.map((zone) => `eu.${zone}`)], algorithm);
    t.teardown(() => server.remove());
    await server.start();
    let used = 0;
    const options = { server: server.host, port: server.port, key_file: server.keyFile, transport, timeout: TIMEOUT_S };
    const provider = (): Rfc2136Provider =>
      new Rfc2136Provider({ clock: new SystemClock(), logger: silentLogger }, config.parse(options));
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
