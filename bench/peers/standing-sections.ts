import { join } from 'node:path';
import { pause } from '../bench-daemon.ts';
import { Marks } from '../marks.ts';
import { cerebro } from './cerebro.ts';
import { isInstalled, type Peer, type Running, withPeer } from './peer.ts';
import { pm2 } from './pm2.ts';
import { cpuTicks, descendants, pssKb, running } from './processes.ts';
import { runit } from './runit.ts';
import { s6 } from './s6.ts';
import { median, NOT_INSTALLED, p95, type Row, type Section, withoutValues, withRatios } from './section.ts';
import { supervisord } from './supervisord.ts';

/** Megabytes that each task of Cerebro may take, which it looks after ten times a second. */
const LIMIT_MB = 64;
const BASE = `Cerebro, each task held to ${LIMIT_MB} MB`;
const START_DEADLINE_MS = 180_000;
const READINGS = 5;
const SLICES = 5;
const TICKS_PER_SECOND = 100;

/** A machine sitter alone, with its tasks held to limits and without. */
export function sittersAlone(): Peer[] {
  return [cerebro(BASE, { mem: LIMIT_MB }), cerebro('Cerebro, no limit')];
}

/** With and without what keeps their logs where that is a process of its own; with and without limits where there are any. */
function candidates(): Peer[] {
  return [
    ...sittersAlone(),
    runit('runit, no logs'),
    runit('runit, each with svlogd', { logger: true }),
    s6('s6, no logs'),
    s6('s6, each with s6-log', { logger: true }),
    supervisord('supervisord'),
    pm2('PM2'),
  ];
}

export interface StandingOptions {
  tasks: number;
  memory: boolean;
  idle: boolean;
  settleSeconds: number;
  windowSeconds: number;
}

interface Memory {
  /** The daemon before it had any task. */
  emptyKb: number;
  daemonKb: number[];
  /** What belongs to the supervisor beside the daemon. */
  besideKb: number[];
}

interface Standing {
  remark: string | null;
  memory: Memory | null;
  /** Percent of one core in each slice of the window. */
  cpu: number[] | null;
}

/** Memory and idle CPU are of the same tasks, which are started once for both. */
export async function standingSections(
  folder: string,
  options: StandingOptions,
  all: readonly Peer[] = candidates(),
): Promise<Section[]> {
  const standing = new Map<Peer, Standing>();
  for (const [number, peer] of all.entries()) {
    if (isInstalled(peer)) standing.set(peer, await measure(peer, join(folder, `standing-${number}`), options));
  }
  const remarks = new Set([...standing.values()].flatMap(({ remark }) => remark ?? []));
  const rowsOf = (row: (peer: Peer, found: Standing) => Row): Row[] =>
    all.map((peer) => {
      const found = standing.get(peer);
      return found ? row(peer, found) : withoutValues(peer.name, NOT_INSTALLED);
    });
  return [
    ...(options.memory ? [memorySection(rowsOf((peer, found) => memoryRow(peer, found, options.tasks)))] : []),
    ...(options.idle ? [idleSection(rowsOf(idleRow), options, [...remarks])] : []),
  ];
}

async function measure(peer: Peer, folder: string, options: StandingOptions): Promise<Standing> {
  const emptyKb = options.memory ? await emptyDaemonKb(peer, folder) : 0;
  const marks = new Marks(`${folder}-marks`);
  const names = Array.from({ length: options.tasks }, (_, n) => `task-${n}`);
  const tasks = names.map((name) => ({ name, command: `${marks.markOf(name)}; exec sleep 1000000` }));
  try {
    return await withPeer(peer, folder, tasks, async (peering) => {
      await marks.started(names, START_DEADLINE_MS);
      await pause(options.settleSeconds * 1000);
      const beside = besideDaemon(peering, marks);
      const memory = options.memory ? { emptyKb, ...(await readMemory(peering.daemon, beside)) } : null;
      const cpu = options.idle ? await readCpu([peering.daemon, ...beside], options.windowSeconds) : null;
      return { remark: peering.remark ?? null, memory, cpu };
    });
  } finally {
    marks.close();
  }
}

async function emptyDaemonKb(peer: Peer, folder: string): Promise<number> {
  return withPeer(peer, folder, [], async ({ daemon }) => {
    await pause(2000);
    return pssKb(daemon);
  });
}

/** Everything that comes from the daemon and is not a task: launcher and shims, supervisors of one service, loggers. */
function besideDaemon({ daemon, helper }: Running, marks: Marks): number[] {
  const tasks = new Set(marks.pids.values());
  const helpers = helper === undefined ? [] : running(helper);
  const beside = new Set([...helpers, ...descendants([daemon, ...helpers]).map(({ pid }) => pid)]);
  return [...beside].filter((pid) => !tasks.has(pid));
}

async function readMemory(daemon: number, beside: readonly number[]): Promise<Omit<Memory, 'emptyKb'>> {
  const daemonKb: number[] = [];
  const besideKb: number[] = [];
  for (let reading = 0; reading < READINGS; reading++) {
    daemonKb.push(pssKb(daemon));
    besideKb.push(beside.reduce((sum, pid) => sum + pssKb(pid), 0));
    await pause(1000);
  }
  return { daemonKb, besideKb };
}

async function readCpu(pids: readonly number[], seconds: number): Promise<number[]> {
  const used = (): number => pids.reduce((sum, pid) => sum + cpuTicks(pid), 0);
  const percents: number[] = [];
  let before = used();
  let since = performance.now();
  for (let slice = 0; slice < SLICES; slice++) {
    await pause((seconds * 1000) / SLICES);
    const [now, ticks] = [performance.now(), used()];
    percents.push(((ticks - before) / TICKS_PER_SECOND / ((now - since) / 1000)) * 100);
    before = ticks;
    since = now;
  }
  return percents;
}

function memoryRow({ name }: Peer, { memory }: Standing, tasks: number): Row {
  if (!memory) return withoutValues(name, 'not measured');
  const besideKb = memory.besideKb.map((kb) => kb / tasks);
  const grownKb = (median(memory.daemonKb) - memory.emptyKb) / tasks;
  const values = {
    tasks,
    besideMedianKb: median(besideKb),
    besideP95Kb: p95(besideKb),
    daemonEmptyMb: memory.emptyKb / 1024,
    daemonMedianMb: median(memory.daemonKb) / 1024,
    daemonP95Mb: p95(memory.daemonKb) / 1024,
    grownKb,
    perTaskKb: median(besideKb) + grownKb,
  };
  return { name, values };
}

function idleRow({ name }: Peer, { cpu }: Standing): Row {
  if (!cpu) return withoutValues(name, 'not measured');
  const meanPercent = cpu.reduce((sum, percent) => sum + percent, 0) / cpu.length;
  return { name, values: { medianPercent: median(cpu), p95Percent: p95(cpu), meanPercent } };
}

function memorySection(rows: readonly Row[]): Section {
  return {
    title: '2. Memory of the supervisor, PSS',
    columns: [
      { key: 'tasks', head: 'tasks' },
      { key: 'besideMedianKb', head: 'beside the daemon, KB a task', digits: 1 },
      { key: 'besideP95Kb', head: 'p95', digits: 1 },
      { key: 'daemonEmptyMb', head: 'daemon: empty, MB', digits: 1 },
      { key: 'daemonMedianMb', head: 'with all, MB', digits: 1 },
      { key: 'daemonP95Mb', head: 'p95', digits: 1 },
      { key: 'grownKb', head: 'grown, KB a task', digits: 1 },
      { key: 'perTaskKb', head: 'both, KB a task', digits: 1 },
      { key: 'ratio', head: 'x Cerebro', digits: 2 },
    ],
    rows: withRatios(rows, 'perTaskKb', BASE, 'ratio'),
    about: [
      'beside the daemon: all its processes but the tasks (launcher, shims and spare shims; runsv and s6-supervise; loggers), by the number of tasks',
      'both: that, and what the daemon has grown by since it had no task, by the number of tasks. supervisord and PM2 have nothing beside the daemon',
      'a page that n processes share counts as 1/n of one in each, so only figures of the same number of tasks compare',
      'the daemons of Cerebro, supervisord and PM2 keep the logs; runit and s6 keep some only with a logger for each service',
    ],
  };
}

function idleSection(
  rows: readonly Row[],
  { tasks, windowSeconds, settleSeconds }: StandingOptions,
  remarks: readonly string[],
): Section {
  return {
    title: `3. CPU of the supervisor while ${tasks} tasks sleep, percent of one core`,
    columns: [
      { key: 'medianPercent', head: 'median', digits: 2, suffix: ' %' },
      { key: 'p95Percent', head: 'p95', digits: 2, suffix: ' %' },
      { key: 'meanPercent', head: 'mean', digits: 2, suffix: ' %' },
      { key: 'ratio', head: 'mean x Cerebro', digits: 2 },
    ],
    rows: withRatios(rows, 'meanPercent', BASE, 'ratio'),
    about: [
      `${windowSeconds} s in ${SLICES} slices, ${settleSeconds} s after the last start: median and p95 are of the slices, the mean is of it all. One clock tick in a slice is ${((100 * SLICES) / TICKS_PER_SECOND / windowSeconds).toFixed(2)} %`,
      ...remarks,
      'Cerebro holds the memory limits meanwhile (every poll_interval, 0.1 s, where the kernel does not), and knows what each task uses',
      'runit, s6 and supervisord do not look at the memory of tasks; PM2 does, every 30 s',
    ],
  };
}
