import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { EmbeddedCluster, eventually } from './embedded-cluster.ts';

const ROUNDS = Number(process.env.CEREBRO_CRASH_ROUNDS ?? 12);

/** A small generator with a seed (mulberry32), so that a failing run can be had again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const job = (a: number, b: number, colour: number): string => `
task_configuration: {name: crashy, command: 'exec sleep 1000', cpu: .5, mem: 50, ensure_alive: true, env: {COLOUR: '${colour}'}}
deployment_layout: {local-a: {count: ${a}}, local-b: {count: ${b}}}
update: {min_healthy: 0, max_parallel: 3}
`;

/** The copies that have a process on machines of this cluster, by what the processes themselves bear, and how many each has. */
function processesByCopy(clusterId: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const environment = environmentOf(name);
    const copy = environment.get('CEREBRO_COPY');
    if (!copy?.startsWith('crashy.') || !environment.has('CEREBRO_RUN')) continue;
    if (environment.get('CEREBRO_MACHINE')?.startsWith(`${clusterId}/`)) found.set(copy, (found.get(copy) ?? 0) + 1);
  }
  return found;
}

function environmentOf(pid: string): Map<string, string> {
  let text = '';
  try {
    text = readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    // it has ended meanwhile, or is not ours to look at
  }
  return new Map(
    text
      .split('\0')
      .map((variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)]),
  );
}

t.test('the cluster sitter is killed with -9 at any moment: nothing is doubled, nothing is lost', async (t) => {
  const seed = Number(process.env.CEREBRO_SEED ?? 20_261_122);
  const random = seeded(seed);
  t.comment(`seed ${seed}`);
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  const { clusterId } = await cluster.get<{ clusterId: string }>('/api/v1/status');
  let wanted: [number, number, number] = [1, 1, 0];
  await cluster.apply(job(...wanted));

  for (let round = 0; round < ROUNDS; round++) {
    const next: typeof wanted = [Math.floor(random() * 5), Math.floor(random() * 5), Math.floor(random() * 2)];
    const answer = await cluster.apply(job(...next));
    t.equal(answer.status, 200, `round ${round}: what is acknowledged counts from here on`);
    wanted = next;
    if (random() < 0.3) {
      const machines = (await cluster.machines()).filter(({ state }) => state === 'ready');
      const machine = machines[Math.floor(random() * machines.length)];
      if (machine) await cluster.cli(['local', 'crash', machine.id]);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.floor(random() * 400)));
    await cluster.end('SIGKILL');
    await cluster.up();
  }

  const [a, b] = wanted;
  const copies = await cluster.ready('crashy', a + b);
  t.equal(copies.filter(({ copy }) => copy).length, a + b);
  const ids = copies.map(({ copy }) => copy).sort();
  let processes = new Map<string, number>();
  await eventually(
    () => {
      processes = processesByCopy(clusterId);
      return JSON.stringify([...processes.keys()].sort()) === JSON.stringify(ids);
    },
    () => `the processes are those of the copies: ${JSON.stringify([...processes])} against ${JSON.stringify(ids)}`,
  );
  t.ok(
    [...processes.values()].every((count) => count === 1),
    'each copy runs once',
  );
  const jobs = await cluster.get<{ zones: Record<string, { wanted: number }> }[]>('/api/v1/jobs');
  t.equal(jobs[0]?.zones['local-a']?.wanted, a);
  let machines: string[] = [];
  const folders = (): string[] => readdirSync(`${cluster.dataDir}/machines`).sort();
  await eventually(
    async () => {
      machines = (await cluster.machines()).map(({ id }) => id).sort();
      return JSON.stringify(folders()) === JSON.stringify(machines);
    },
    () => `every machine folder (${folders().join(', ')}) is that of a machine (${machines.join(', ')})`,
  );
  const seqs = (await cluster.events()).map(({ seq }) => seq);
  t.same(
    seqs,
    seqs.map((_, i) => (seqs[0] ?? 0) + i),
    'the timeline has no gap',
  );
});
