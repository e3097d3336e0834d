import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { freePort } from '../fakes/free-port.ts';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';
import { askFor, NameWatch } from './name-watch.ts';

const TTL = 1;
const POOL = 'local-a.web.test';

/** A copy that listens at the address of its own machine, and is well once it does; each fills a machine. */
const job = (port: number, count: number, colour: string): string => `
task_configuration:
  name: web
  command: >-
    exec ${process.execPath} -e "require('net').createServer((s) => s.end()).listen(${port}, process.env.CEREBRO_ADDRESS)"
  cpu: 2
  mem: 100
  ensure_alive: true
  env: {COLOUR: ${colour}}
  health_check: {command: 'exec 3<>/dev/tcp/$CEREBRO_ADDRESS/${port}', interval: 0.2, start_period: 60}
deployment_layout: {local-a: {count: ${count}}}
deployment_recipe: script
recipe_options: {script: 'echo "$COPY is $DNS_NAME"'}
dns_basename: web.test
update: {min_healthy: 0, max_parallel: 1}
`;

/** Cerebro's own plugins, with a port of the test's for names and an address for each machine. */
function pluginsFile(folder: string, dnsPort: number): string {
  const { plugins } = JSON.parse(readFileSync(join(packageRoot, 'plugins.json'), 'utf8')) as {
    plugins: { use: string }[];
  };
  const configs: Record<string, object> = {
    './providers/local': { own_addresses: true },
    './providers/dns-local': { port: dnsPort },
  };
  const path = join(folder, 'plugins.json');
  const list = plugins.map((entry) => ({
    ...entry,
    use: join(packageRoot, entry.use),
    config: configs[entry.use] ?? {},
  }));
  writeFileSync(path, JSON.stringify({ plugins: list }));
  return path;
}

t.test('names, the whole way: whoever lives by them never finds nobody', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  const [dnsPort, port] = [await freePort(), await freePort()];
  const settings = join(cluster.folder, 'cerebro.yaml');
  writeFileSync(settings, `dns_ttl: ${TTL}\ndns_resolvers: ['127.0.0.1:${dnsPort}']\n`);
  await cluster.up({ '--plugins': pluginsFile(cluster.folder, dnsPort), '--settings': settings });
  const watch = new NameWatch(POOL, dnsPort, port);
  watch.start();
  t.teardown(() => watch.stop());
  const crashed = new Set<string>();
  const addressOf = async (machine: string): Promise<string> =>
    (await cluster.machines()).find(({ id }) => id === machine)?.address ?? '';
  /** `count` copies are ready, and the pool answers with the addresses of just their machines. */
  const served = async (count: number): Promise<string[]> => {
    const copies = await cluster.ready('web', count);
    const wanted = (await Promise.all(copies.map(({ machine }) => addressOf(machine)))).sort();
    await eventually(
      () => JSON.stringify(watch.now) === JSON.stringify(wanted),
      () => `${POOL} answers ${wanted.join(' ')}: ${watch.now.join(' ')}`,
    );
    return wanted;
  };
  const apply = async (count: number, colour: string): Promise<{ plan: string[] }> => {
    const answer = await cluster.apply(job(port, count, colour));
    t.equal(answer.status, 200);
    return (await answer.json()) as { plan: string[] };
  };

  await t.test('the first copy has its own name, and the pool has it', async (t) => {
    const { plan } = await apply(1, 'red');
    t.match(plan.join('\n'), /make the DNS name local-a\.web\.test .* at dns-local, zone \./);
    const [address] = await served(1);
    t.same(await askFor(`0.${POOL}`, dnsPort), [address]);
    const told = (await cluster.events()).map(({ message }) => message);
    t.ok(told.includes(`web.1: web.1 is 0.${POOL}`), 'its recipe knew the name');
  });

  await t.test('more copies are in the pool once they are ready', async (t) => {
    await apply(3, 'red');
    const addresses = await served(3);
    const numbered = await Promise.all([0, 1, 2].map((n) => askFor(`${n}.${POOL}`, dnsPort)));
    t.same(numbered.flat().sort(), addresses);
  });

  await t.test('a machine without power leaves the pool, and its replacement comes in', async (t) => {
    const [victim] = await cluster.ready('web', 3);
    const machine = victim?.machine ?? '';
    const address = await addressOf(machine);
    crashed.add(address);
    t.equal((await cluster.cli(['local', 'crash', machine])).code, 0);
    await eventually(() => !watch.now.includes(address), 'it has left the pool');
    const [left, from] = [watch.now.length, watch.answers.length];
    t.equal(left, 2, 'the others stay');
    await served(3);
    t.notOk(
      watch.answers.slice(from).some(({ addresses }) => addresses.includes(address)),
      'it is never told again',
    );
  });

  await t.test('a roll-out: each copy leaves the pool before it is restarted', async () => {
    await apply(3, 'blue');
    await eventually(async () => {
      const copies = (await cluster.copies()).filter(({ job }) => job === 'web');
      return copies.every(({ version, state }) => version === 2 && state === 'ready');
    }, 'all copies are of version 2');
    await served(3);
  });

  await t.test('fewer copies: those that go are told to nobody any more before they are stopped', async () => {
    await apply(1, 'blue');
    await served(1);
  });

  await t.test('what people see: the list, a check, and that their own CNAME is missing', async (t) => {
    const list = await cluster.cli(['dns', 'list']);
    t.equal(list.code, 0, list.stderr);
    t.match(list.stdout, /local-a\.web\.test +published +127\.\d+\.\d+\.\d+ +pool +dns-local/);
    const check = await cluster.cli(['dns', 'check']);
    t.equal(check.code, 1, check.stderr);
    t.match(check.stdout, /web\.test +missing +there is no CNAME; make it a CNAME to local-a\.web\.test/);
    const one = await cluster.cli(['dns', 'check', `0.${POOL}`]);
    t.equal(one.code, 0, 'this name is as it should be');
    t.notMatch(one.stdout, /missing|pool/);
    const none = await cluster.cli(['dns', 'check', '7.local-a.web.test']);
    t.equal(none.code, 1);
    t.match(none.stderr, /there is no DNS name, basename or job "7\.local-a\.web\.test"; did you mean/);
  });

  await t.test('until here nobody was ever told nothing', async (t) => {
    t.same(watch.empty, []);
    t.ok(watch.answers.length > 50, `${watch.answers.length} answers`);
  });

  await t.test('a removed job: its names go first, then its copies, then it is forgotten', async (t) => {
    t.equal((await cluster.cli(['removejob', 'web'])).code, 0);
    await eventually(() => watch.now.length === 0, 'the pool is gone');
    await eventually(async () => (await cluster.copies()).length === 0, 'the copies are gone');
    t.same(await askFor(`0.${POOL}`, dnsPort), []);
    await eventually(
      async () => (await cluster.get<{ names: unknown[] }>('/api/v1/dns')).names.length === 0,
      'nothing is kept of its names',
    );
  });

  await watch.stop();
  t.same(watch.lies(TTL * 1000 - 50, crashed), [], 'what was told held for as long as it may be remembered');
});
