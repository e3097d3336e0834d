import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { DnsProvider } from '../../core/contracts/dns-provider.ts';
import { loadPlugins } from '../../core/engine/load-plugins.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-dns-plugins-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

const server = { host: '127.0.0.1', key_file: 'k' };
const rfc2136 = { servers: [server] };
const dynect = { customer_name: 'c', user_name: 'u', password_env: 'P' };

function list(configs: Record<string, object>): string {
  const file = join(folder, 'plugins.json');
  const plugins = Object.entries(configs).map(([name, config]) => ({
    use: join(packageRoot, 'providers', name),
    config,
  }));
  writeFileSync(file, JSON.stringify({ plugins }));
  return file;
}

t.test('the providers load from plugins.json, and creating them touches nothing', async (t) => {
  const loaded = await loadPlugins(list({ rfc2136, dynect, route53: {} }), 'cluster');
  const services = { clock: new SystemClock(), logger: silentLogger, dataDir: join(folder, 'nothing-here') };
  const providers = loaded.map(({ definition, config }) => {
    for (const need of definition.needs) t.ok(need in services, need);
    t.equal(definition.point, 'dns-provider');
    return definition.create(services, config) as DnsProvider;
  });
  t.same(
    providers.map(({ name, maxValues }) => [name, maxValues]),
    [
      ['rfc2136', 100],
      ['dynect', 13],
      ['route53', 400],
    ],
  );
  t.notOk(existsSync(services.dataDir));
});

const refused: [what: string, configs: Record<string, object>, sentence: RegExp][] = [
  [
    'no key',
    { rfc2136: { servers: [{ host: 's' }] } },
    /"dns-rfc2136": config\.servers\.0: needs either key_file or key_env/,
  ],
  ['two keys', { rfc2136: { servers: [{ ...server, key_env: 'K' }] } }, /needs either key_file or key_env/],
  [
    'a secret in the list',
    { rfc2136: { servers: [{ ...server, key: 'hunter2' }] } },
    /config\.servers\.0\.key: unknown key/,
  ],
  [
    'a zone with a final dot',
    { rfc2136: { servers: [{ ...server, zones: ['a.test.'] }] } },
    /config\.servers\.0\.zones\.0: .*without the final dot/,
  ],
  ['no user', { dynect: { ...dynect, user_name: '' } }, /config\.user_name/],
  ['a password in the list', { dynect: { ...dynect, password: 'hunter2' } }, /config\.password: unknown key/],
  [
    'no id of a zone',
    { route53: { hosted_zones: ['startup.com'] } },
    /config\.hosted_zones\.0: the id of a hosted zone/,
  ],
];
for (const [what, configs, sentence] of refused) {
  t.test(`boot fails over ${what}, naming plugin and field`, async (t) => {
    const error = await loadPlugins(list(configs), 'cluster').then(
      () => new Error('it was taken'),
      (reason: Error) => reason,
    );
    t.match(error.message, sentence);
    t.notMatch(error.message, /hunter2/);
  });
}
