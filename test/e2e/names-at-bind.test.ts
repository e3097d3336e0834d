import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { skipUnless } from '../fakes/needs.ts';
import { bind } from '../providers/dns-server-kinds.ts';
import { programPath, RealDnsServer } from '../providers/real-dns-server.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const ZONE = 'startup.test';
const POOL = `local-a.web.${ZONE}`;

const job = (count: number): string => `
task_configuration: {name: web, command: exec sleep 1000, cpu: .1, mem: 16, ensure_alive: true}
deployment_layout: {local-a: {count: ${count}}}
dns_basename: web.${ZONE}
update: {min_healthy: 0}
`;

/** Cerebro's own plugins, with names at that server. */
function pluginsFile(folder: string, { host, port, keyFile }: RealDnsServer): string {
  const { plugins } = JSON.parse(readFileSync(join(packageRoot, 'plugins.json'), 'utf8')) as {
    plugins: { use: string; modes?: string[] }[];
  };
  const list = plugins
    .filter(({ use }) => use !== './providers/dns-local')
    .concat([{ use: './providers/rfc2136', modes: ['cluster'] }])
    .map((entry) => ({
      ...entry,
      use: join(packageRoot, entry.use),
      config: entry.use === './providers/rfc2136' ? { servers: [{ host, port, key_file: keyFile }] } : {},
    }));
  const path = join(folder, 'plugins.json');
  writeFileSync(path, JSON.stringify({ plugins: list }));
  return path;
}

t.test('names at BIND, the whole way: they follow the copies, and a server that is down holds nobody up', async (t) => {
  const there = ['dig', 'nsupdate', 'named'].every((program) => programPath(program) !== null);
  if (skipUnless(t, there, `this needs BIND: apt-get install ${bind.packages}`)) return;
  const server = new RealDnsServer(bind, [ZONE], 'hmac-sha256');
  const cluster = new EmbeddedCluster();
  t.teardown(async () => {
    await cluster.remove();
    await server.remove();
  });
  await server.start();
  const settings = join(cluster.folder, 'cerebro.yaml');
  writeFileSync(settings, 'dns_ttl: 1\ndns_removal_patience: 1\n');
  // Somebody else has the name that the second copy would get.
  await server.nsupdate(`zone ${ZONE}`, `update add 1.${POOL} 300 A 203.0.113.9`);
  await cluster.up({ '--plugins': pluginsFile(cluster.folder, server), '--settings': settings });
  const valuesOf = async (name: string, type = 'A'): Promise<string[]> =>
    (await server.dig(name, type)).map(({ value }) => value);
  const answers = (name: string, wanted: readonly string[]): Promise<void> =>
    eventually(
      async () => JSON.stringify(await valuesOf(name)) === JSON.stringify(wanted),
      `${name} answers [${wanted}]`,
    );

  t.equal((await cluster.apply(job(2))).status, 200);
  await cluster.ready('web', 2);
  await answers(POOL, ['127.0.0.1']);
  await answers(`0.${POOL}`, ['127.0.0.1']);
  t.match(await valuesOf(`_cerebro.0.${POOL}`, 'TXT'), [/heritage=cerebro,cluster=/]);

  // It is told of once, is left as it is, and holds up nothing else.
  await eventually(
    async () => (await cluster.events()).some(({ message }) => message.includes(`1.${POOL}`) && /else/.test(message)),
    'the record in the way is told of',
  );
  t.same(await valuesOf(`1.${POOL}`), ['203.0.113.9']);

  await server.crash();
  t.equal((await cluster.apply(job(3))).status, 200);
  await cluster.ready('web', 3);
  await server.resume();
  await answers(`2.${POOL}`, ['127.0.0.1']);

  t.equal((await cluster.cli(['removejob', 'web'])).code, 0);
  for (const name of [POOL, `0.${POOL}`, `2.${POOL}`]) await answers(name, []);
  await eventually(async () => (await valuesOf(`_cerebro.0.${POOL}`, 'TXT')).length === 0, 'the owner marks are gone');
  t.same(await valuesOf(`1.${POOL}`), ['203.0.113.9']);
});
