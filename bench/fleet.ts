/**
 * One cluster sitter over a large fleet: 1,000 machines with ten tasks each (`--machines N`), all hosted by one other process that speaks
 * the machines' protocol over mutual TLS. Measured from outside: until all machines are connected after a start, what it takes to
 * follow a fleet in which nothing changes, and how long after a machine's death its copies run elsewhere.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { authorityRecord, issueCertificate } from '../core/cluster/access/issue-certificate.ts';
import type { Instance } from '../core/contracts/machine-provider.ts';
import { freePort } from '../test/fakes/free-port.ts';
import { BenchDaemon, inFolder, pause, until } from './bench-daemon.ts';
import { report, type Series } from './bench-report.ts';
import { askFleet } from './simulated-fleet/ask-fleet.ts';

const { values: asked } = parseArgs({
  options: {
    machines: { type: 'string', default: '1000' },
    deaths: { type: 'string', default: '10' },
    idle: { type: 'string', default: '30' },
    starts: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const MACHINES = Number(asked.machines);
const DEATHS = Number(asked.deaths);
const STARTS = Number(asked.starts);
const IDLE_S = Number(asked.idle);
const TASKS = 10;
/** Empty machines for what has to go elsewhere: each takes the copies of one that dies. */
const SPARE = DEATHS + 2;
/** Seconds of silence after which a machine is lost. */
const LOST_AFTER_S = 10;
const SETTINGS = {
  max_idle_per_zone: -1,
  suspect_after: 2,
  unreachable_after: 5,
  lost_after: LOST_AFTER_S,
  startup_grace: 0,
  log_level: 'warn',
};
/** Clock ticks a second, as /proc counts them. */
const TICKS = 100;
const SETUP_MS = 600_000;

const rootOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

interface Use {
  cpuSeconds: number;
  rssMb: number;
}

function useOf(pid: number | undefined): Use {
  const [utime = 0, stime = 0] = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 13)
    .map(Number);
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { cpuSeconds: (utime + stime) / TICKS, rssMb: Number(rss) / 1024 };
}

/** Cores in use over a while in which nothing changes. */
async function idleCores(pid: number | undefined): Promise<number> {
  const [before, began] = [useOf(pid), performance.now()];
  await pause(IDLE_S * 1000);
  return (useOf(pid).cpuSeconds - before.cpuSeconds) / ((performance.now() - began) / 1000);
}

class Fleet {
  readonly #child: ChildProcess;
  #ended = false;
  readonly url: string;

  constructor(port: number, machinePort: number) {
    this.url = `http://127.0.0.1:${port}`;
    const program = ['--import', 'tsx', rootOf('bench/simulated-fleet/hosts.ts'), String(port), String(machinePort)];
    this.#child = spawn(process.execPath, program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.once('exit', (code, signal) => {
      if (!this.#ended) console.error(`the process that hosts the fleet has ended by itself: ${signal ?? code}`);
    });
  }

  async ready(): Promise<void> {
    await new Promise((resolve) => this.#child.stdout?.once('data', resolve));
  }

  totals(): Promise<{ machines: number; streams: number; tasks: number }> {
    return askFleet(this.url, '/totals');
  }

  end(): void {
    this.#ended = true;
    this.#child.kill('SIGKILL');
  }
}

async function withFleet(folder: string): Promise<void> {
  const fleet = new Fleet(await freePort(), await freePort());
  let daemon: BenchDaemon | null = null;
  try {
    await fleet.ready();
    const plugins = join(folder, 'plugins.json');
    const uses = ['plugins/store-lmdb', 'recipes/builtin'].map((use) => ({ use: rootOf(use), modes: ['cluster'] }));
    const provider = { use: rootOf('bench/simulated-fleet'), modes: ['cluster'], config: { url: fleet.url } };
    writeFileSync(plugins, JSON.stringify({ plugins: [...uses, provider] }));
    const settings = join(folder, 'cerebro.yaml');
    writeFileSync(settings, JSON.stringify(SETTINGS));
    const start = (): BenchDaemon =>
      new BenchDaemon(
        'cerebro',
        ['--mode', 'cluster', '--plugins', plugins, '--settings', settings, '--port', '0', '--port-fallback'],
        join(folder, 'data'),
        { ...process.env, NODE_OPTIONS: '' },
      );
    daemon = start();
    await daemon.ready();
    await fill(daemon, fleet);
    const series: Series[] = [];
    const connects: number[] = [];
    for (let n = 0; n < STARTS; n++) {
      await stop(daemon);
      await until('the fleet sees it go', async () => ((await fleet.totals()).streams === 0 ? true : undefined));
      daemon = start();
      await daemon.ready();
      const listening = performance.now();
      await connected(fleet);
      connects.push(performance.now() - listening);
    }
    const bare = await bareStreams(folder, daemon, fleet);
    series.push({ name: 'one bare stream to each machine', ms: bare.connects });
    series.push({
      name: 'from listening until all are connected',
      ms: connects,
      against: 'one bare stream to each machine',
    });
    const idle = await idleCores(daemon.child.pid);
    const { rssMb } = useOf(daemon.child.pid);
    const deaths = await die(fleet);
    series.push({ name: 'the configured time of detection', ms: [LOST_AFTER_S * 1000] });
    series.push({
      name: `from a machine's death until its ${TASKS} copies run elsewhere`,
      ms: deaths,
      against: 'the configured time of detection',
    });
    report(`A fleet of ${MACHINES + SPARE} machines`, series, {
      machines: MACHINES + SPARE,
      tasks: MACHINES * TASKS,
      idleCores: Math.round(idle * 1000) / 1000,
      idleCoresOfBareStreams: Math.round(bare.idle * 1000) / 1000,
      rssMb: Math.round(rssMb),
      lostAfterSeconds: LOST_AFTER_S,
    });
  } finally {
    if (daemon) await stop(daemon);
    fleet.end();
  }
}

async function stop(daemon: BenchDaemon): Promise<void> {
  daemon.child.kill('SIGTERM');
  await daemon.end(30_000);
}

/** Orders the machines, ten copies on each, and some that stay empty. */
async function fill(daemon: BenchDaemon, fleet: Fleet): Promise<void> {
  const began = performance.now();
  const job = (name: string, count: number, cpu: number): object => ({
    task_configuration: { name, command: 'sleep 1000', cpu, mem: 100, ensure_alive: true },
    deployment_layout: { 'fleet-a': { count } },
    update: { min_healthy: 0 },
  });
  const jobs = Array.from({ length: MACHINES / 10 }, (_, n) => job(`job-${n}`, 10 * TASKS, 1));
  await daemon.callJson('POST', '/api/v1/jobs', [...jobs, job('room', SPARE, 10)]);
  const all = MACHINES * TASKS + SPARE;
  await until('all tasks run', async () => ((await fleet.totals()).tasks === all ? true : undefined), 500, SETUP_MS);
  await daemon.call('DELETE', '/api/v1/jobs/room');
  await until('some are empty', async () => ((await fleet.totals()).tasks === all - SPARE ? true : undefined), 200);
  console.log(
    `filled within ${Math.round((performance.now() - began) / 1000)} s: ${JSON.stringify(await fleet.totals())}`,
  );
}

async function connected(fleet: Fleet): Promise<void> {
  const all = MACHINES + SPARE;
  await until(
    'all machines are connected',
    async () => ((await fleet.totals()).streams === all ? true : undefined),
    20,
    120_000,
  );
}

/** The floor, over the same machines, with a certificate of the same authority. */
async function bareStreams(
  folder: string,
  daemon: BenchDaemon,
  fleet: Fleet,
): Promise<{ connects: number[]; idle: number }> {
  const token = readFileSync(join(daemon.dataDir, 'admin.token'), 'utf8').trim();
  const backup = await fetch(`${daemon.url}/api/v1/backup`, { headers: { authorization: `Bearer ${token}` } });
  const entries = (await backup.text()).split('\n').filter((line) => line.includes('"tls/authority"'));
  const authority = authorityRecord.parse(JSON.parse(entries[0] ?? '{}').value);
  const identity = await issueCertificate(authority, { kind: 'cluster-sitter' }, Date.now(), 3_600_000);
  const machines = await askFleet<Instance[]>(fleet.url, '/describe');
  const file = join(folder, 'bare.json');
  writeFileSync(file, JSON.stringify({ identity, endpoints: machines.map(({ endpoint }) => endpoint) }), {
    mode: 0o600,
  });
  const connects: number[] = [];
  let idle = 0;
  for (let n = 0; n < STARTS; n++) {
    const program = ['--import', 'tsx', rootOf('bench/simulated-fleet/bare-streams.ts'), file];
    const child = spawn(process.execPath, program, { stdio: ['pipe', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the bare streams ended')));
      child.stdout.once('data', (text) => resolve(String(text)));
    });
    connects.push((JSON.parse(line) as { ms: number }).ms);
    if (n === STARTS - 1) idle = await idleCores(child.pid);
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
  }
  return { connects, idle };
}

/** Ends machines one after another, as a power cut would; resolves to how long each one's copies were away. */
async function die(fleet: Fleet): Promise<number[]> {
  const taken: number[] = [];
  const loaded = await askFleet<string[]>(fleet.url, '/loaded');
  for (const machineId of loaded.slice(0, DEATHS)) {
    const { at, tasks } = await askFleet<{ at: number; tasks: number }>(fleet.url, '/die', { machineId });
    const given = await until(
      'its copies run elsewhere',
      async () => {
        const since = await askFleet<[string, number][]>(fleet.url, '/given', { since: at });
        return since.length >= tasks ? since : undefined;
      },
      50,
      120_000,
    );
    taken.push(Math.max(...given.map(([, when]) => when)) - at);
    await pause(2000);
  }
  return taken;
}

await inFolder(withFleet);
