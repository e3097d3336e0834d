/**
 * From `cerebro up` in a new data folder to the first job running: the cluster sitter starts, takes a job in, orders a local
 * machine, that machine's sitter starts, and the job's one copy runs. The floor is the same program that only prints its version.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../test/fakes/free-port.ts';
import { BenchDaemon, BIN, inFolder, until } from './bench-daemon.ts';
import { report, type Series } from './bench-report.ts';

const RUNS = 7;
const JOB = `
task_configuration: { name: first, command: exec sleep 1000, cpu: .1, mem: 32 }
deployment_layout: { local-a: { count: 1 } }
`;

interface Run {
  answers: number;
  ready: number;
  down: number;
}

/** Runs a command of the compiled program to its end. */
async function cerebro(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, [join(BIN, 'cerebro'), ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`cerebro ${args.join(' ')} ended with ${code}: ${errors}`);
  return performance.now() - start;
}

async function isReady(daemon: BenchDaemon): Promise<true | undefined> {
  const jobs = (await daemon.call('GET', '/api/v1/jobs')) as { zones: Record<string, { ready: number }> }[];
  return jobs[0]?.zones['local-a']?.ready === 1 || undefined;
}

async function run(dataDir: string, env: NodeJS.ProcessEnv): Promise<Run> {
  const port = await freePort();
  const start = performance.now();
  const daemon = new BenchDaemon('cerebro', ['--port', String(port), 'up'], dataDir, env);
  try {
    await daemon.ready();
    const answers = performance.now() - start;
    await daemon.call('POST', '/api/v1/jobs', { text: JOB, type: 'text/yaml' });
    await until('the first copy', () => isReady(daemon), 10);
    const ready = performance.now() - start;
    const down = await cerebro(['--data-dir', dataDir, 'down'], env);
    return { answers, ready, down };
  } finally {
    await daemon.end(5000);
    endMachines(dataDir);
  }
}

/** Local machines run on without their cluster sitter: those that `down` did not end are ended here, by the pids in their folders. */
function endMachines(dataDir: string): void {
  const folder = join(dataDir, 'machines');
  if (!existsSync(folder)) return;
  for (const machine of readdirSync(folder)) {
    const file = join(folder, machine, 'sitter.json');
    if (!existsSync(file)) continue;
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
    const cmdline = `/proc/${pid}/cmdline`;
    if (existsSync(cmdline) && readFileSync(cmdline, 'latin1').includes(dataDir)) process.kill(pid, 'SIGKILL');
  }
}

const FLOOR = 'cerebro --version (floor)';
const series = await inFolder(async (folder): Promise<Series[]> => {
  const env = { ...process.env, XDG_CONFIG_HOME: join(folder, 'config') };
  const floor: number[] = [];
  const runs: Run[] = [];
  // The first of each reads the program from the disk; it is not what is measured.
  await cerebro(['--version'], env);
  await run(join(folder, 'warm-up'), env);
  for (let i = 0; i < RUNS; i++) {
    floor.push(await cerebro(['--version'], env));
    runs.push(await run(join(folder, `run-${i}`), env));
  }
  return [
    { name: FLOOR, ms: floor },
    { name: 'up: until it answers', ms: runs.map(({ answers }) => answers), against: FLOOR },
    { name: 'from then until the job is ready', ms: runs.map(({ answers, ready }) => ready - answers), against: FLOOR },
    { name: 'up: until the job is ready', ms: runs.map(({ ready }) => ready), against: FLOOR },
    { name: 'down', ms: runs.map(({ down }) => down), against: FLOOR },
  ];
});
report('cerebro up to the first job running', series, { runs: RUNS, warmUps: 1 });
