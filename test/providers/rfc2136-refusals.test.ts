import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Clock } from '../../core/contracts/clock.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Rfc2136Provider } from '../../providers/rfc2136/rfc2136-provider.ts';
import { config } from '../../providers/rfc2136/schema.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { put, refusal, remove } from '../suites/dns-look.ts';
import { bind, knot, powerDns } from './dns-server-kinds.ts';
import { programPath, RealDnsServer } from './real-dns-server.ts';

const zone = 'startup.co.test';

/** A clock that is wrong by so many seconds. */
class WrongClock extends SystemClock implements Clock {
  readonly #bySeconds: number;

  constructor(bySeconds: number) {
    super();
    this.#bySeconds = bySeconds;
  }

  override now(): number {
    return super.now() + this.#bySeconds * 1000;
  }
}

for (const kind of [bind, knot, powerDns]) {
  t.test(`what ${kind.name} refuses is said in a sentence`, async (t) => {
    const there = ['dig', 'nsupdate', kind.program].every((program) => programPath(program) !== null);
    if (skipUnless(t, there, `this needs ${kind.name}: apt-get install ${kind.packages}`)) return;
    const server = new RealDnsServer(kind, [zone], 'hmac-sha256');
    t.teardown(() => server.remove());
    await server.start();
    const dataDir = join(server.folder, 'data');
    const provider = async (
      t: Test,
      options: object = {},
      clock: Clock = new SystemClock(),
    ): Promise<Rfc2136Provider> => {
      const all = { host: server.host, port: server.port, key_file: server.keyFile, timeout: 30, ...options };
      const made = new Rfc2136Provider({ clock, logger: silentLogger, dataDir }, config.parse({ servers: [all] }));
      t.teardown(() => made.stop());
      await made.start();
      return made;
    };

    const wrongKeys = {
      secret: { secret: randomBytes(32).toString('base64') },
      name: { name: 'nobodys-key' },
      algorithm: { algorithm: 'hmac-sha512' as const },
    };
    for (const [what, change] of Object.entries(wrongKeys)) {
      await t.test(`a key with another ${what}`, async (t) => {
        const made = await provider(t, { key_file: server.otherKeyFile(change) });
        const calls = [
          () => made.apply(zone, [put(`a.${zone}`, 'A', ['192.0.2.1'])]),
          () => made.list(`a.${zone}`),
          () => made.zoneOf(zone),
        ];
        for (const call of calls) {
          const { code, message } = await refusal(call());
          t.equal(code, 'forbidden');
          t.match(message, /TSIG key/);
          t.notMatch(message, server.key.secret);
        }
      });
    }

    await t.test('a clock that is wrong', async (t) => {
      const made = await provider(t, {}, new WrongClock(-1000));
      const { code, message } = await refusal(made.apply(zone, [put(`a.${zone}`, 'A', ['192.0.2.1'])]));
      t.equal(code, 'forbidden');
      // PowerDNS does not say what it dislikes about a signature.
      t.match(message, kind === powerDns ? /TSIG key/ : /clocks .* differ by (9|10)\d\d s/);
    });

    await t.test('a zone that the key may not write', async (t) => {
      const made = await provider(t);
      t.equal(await made.zoneOf(`a.${server.locked}`), server.locked);
      const { code, message } = await refusal(
        made.apply(server.locked, [put(`a.${server.locked}`, 'A', ['192.0.2.1'])]),
      );
      t.equal(code, 'forbidden');
      t.match(message, /changes of locked\.test/);
    });

    await t.test('a zone that the server does not have', async (t) => {
      const made = await provider(t);
      const { code, message } = await refusal(made.apply('not.there', [put('a.not.there', 'A', ['192.0.2.1'])]));
      t.equal(code, 'forbidden');
      t.match(message, /changes of not\.there/);
    });

    await t.test('a zone that plugins.json does not list', async (t) => {
      const made = await provider(t, { zones: ['other.test'] });
      t.equal(await made.zoneOf(`a.${zone}`), null);
      t.equal((await refusal(made.apply(zone, [put(`a.${zone}`, 'A', ['192.0.2.1'])]))).code, 'forbidden');
    });

    await t.test('of writers who want to change the same set at once, one wins', async (t) => {
      const writers = await Promise.all([1, 2, 3, 4].map(() => provider(t)));
      const name = `fought-for.${zone}`;
      await writers[0]?.apply(zone, [put(name, 'A', ['192.0.2.100'])]);
      const codes = await Promise.all(
        writers.map(async (writer, n) => {
          const mine = [put(name, 'A', [`192.0.2.${n}`], ['192.0.2.100']), put(`${n}.${name}`, 'A', ['192.0.2.1'])];
          return (await refusal(writer.apply(zone, mine))).code;
        }),
      );
      t.equal(codes.filter((code) => code === 'conflict').length, 3);
      const winner = codes.findIndex((code) => code !== 'conflict');
      t.same(
        (await server.dig(name, 'A')).map(({ value }) => value),
        [`192.0.2.${winner}`],
      );
      // What the others wanted beside it was not done either.
      for (const n of writers.keys()) t.equal((await server.dig(`${n}.${name}`, 'A')).length, n === winner ? 1 : 0);
    });

    await t.test('an A record beside a CNAME', async (t) => {
      const made = await provider(t);
      await server.nsupdate(`zone ${zone}`, `update add alias.${zone} 60 CNAME elsewhere.invalid.`);
      const { code, message } = await refusal(
        made.apply(zone, [put(`alias.${zone}`, 'A', ['192.0.2.1']), put(`other.${zone}`, 'A', ['192.0.2.1'])]),
      );
      t.equal(code, 'conflict');
      t.match(message, `alias.${zone}/A: a CNAME stands there`);
      t.notMatch(message, 'other');
      t.equal(await made.zoneOf(`alias.${zone}`), zone);
    });

    await t.test('a wildcard above our names is not taken for a record', async (t) => {
      const made = await provider(t);
      await server.nsupdate(`zone ${zone}`, `update add *.wild.${zone} 60 A 203.0.113.1`);
      const name = `x.wild.${zone}`;
      await made.apply(zone, [remove(name, 'A', ['192.0.2.1'])]);
      await made.apply(zone, [put(name, 'A', ['192.0.2.1'])]);
      t.equal((await server.dig(name, 'A'))[0]?.value, '192.0.2.1');
      await made.apply(zone, [remove(name, 'A', ['192.0.2.1'])]);
      await made.apply(zone, [remove(name, 'A', ['192.0.2.1'])]);
      t.equal((await server.dig(name, 'A'))[0]?.value, '203.0.113.1');
    });

    await t.test('without transfers, what was written is listed by asking, however large', async (t) => {
      const made = await provider(t);
      const values = Array.from({ length: 100 }, (_, n) => `198.51.100.${n + 1}`);
      await made.apply(server.closed, [
        put(`pool.${server.closed}`, 'A', values),
        put(`0.pool.${server.closed}`, 'TXT', ['x'.repeat(600)]),
      ]);
      await made.apply(server.closed, [put(`gone.pool.${server.closed}`, 'A', ['192.0.2.1'])]);
      await made.stop();
      // What was written before a restart is known after it; what somebody else removed is not listed.
      await server.nsupdate(`zone ${server.closed}`, `update delete gone.pool.${server.closed} A`);
      const again = await provider(t);
      for (let n = 0; n < 2; n++) {
        const sets = await again.list(`pool.${server.closed}`);
        t.same(sets.map(({ name, type, values }) => [name, type, values.length]).sort(), [
          [`0.pool.${server.closed}`, 'TXT', 1],
          [`pool.${server.closed}`, 'A', 100],
        ]);
        t.equal(sets.find((set) => set.type === 'TXT')?.values[0], 'x'.repeat(600));
      }
    });
  });
}
