import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pause, until } from '../bench-daemon.ts';
import { Marks } from '../marks.ts';
import { alone } from './bare.ts';
import { cerebro } from './cerebro.ts';
import { isInstalled, type Peer, withPeer } from './peer.ts';
import { pm2 } from './pm2.ts';
import { runit } from './runit.ts';
import { s6 } from './s6.ts';
import { median, NOT_INSTALLED, p95, type Row, type Section, withoutValues, withRatios } from './section.ts';
import { supervisord } from './supervisord.ts';

const LINE = 'A line of a hundred bytes, with its newline, written as fast as the task can '.padEnd(99, '.');
/** A multiple of the line: what is no whole line, some loggers hold back. */
const BYTES = 250_000_000;
const DEADLINE_MS = 180_000;

/** Its log never has all of it; but the task writes into it itself, so all is in the log when the task has written it. */
const CUT = 'Cerebro, default';

function candidates(): Peer[] {
  return [
    alone(),
    cerebro('Cerebro, all of it kept', { logBytes: 4 * BYTES }),
    cerebro(CUT),
    runit('runit, svlogd', { logger: true }),
    s6('s6, s6-log', { logger: true }),
    supervisord('supervisord'),
    pm2('PM2'),
  ];
}

export async function logsSection(folder: string, rounds: number): Promise<Section> {
  const all = candidates();
  const seconds = new Map(all.filter(isInstalled).map((peer) => [peer, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [number, [peer, found]] of [...seconds].entries()) {
      found.push(await secondsOf(peer, join(folder, `logs-${round}-${number}`)));
    }
  }
  const rows = all.map((peer) => rowOf(peer, seconds.get(peer)));
  const [floor] = all;
  return {
    title: `4. Log: ${BYTES / 1e6} MB in lines of 100 bytes, from the first byte written until the last is in the log`,
    columns: [
      { key: 'runs', head: 'runs' },
      { key: 'medianSeconds', head: 'median s', digits: 2 },
      { key: 'p95Seconds', head: 'p95 s', digits: 2 },
      { key: 'megabytesPerSecond', head: 'MB/s', digits: 0 },
      { key: 'ratio', head: 'throughput x floor', digits: 3 },
    ],
    rows: withRatios(rows, 'megabytesPerSecond', floor?.name ?? '', 'ratio'),
    about: [
      'under Cerebro, as in the floor, a task writes into its file itself; the others read what it writes from a pipe and write it into the file',
      'none of them adds times to the lines; Cerebro takes off the head of a log that is larger than 64 MB by default, while the task writes on',
      'svlogd, supervisord and the first of Cerebro are told to keep all of it in one file, s6-log in the largest that it makes, PM2 does so by default',
    ],
  };
}

/** The task waits for a word through a pipe, so that the start of it and of the supervisor is no part of what is measured. */
async function secondsOf(peer: Peer, folder: string): Promise<number> {
  const marks = new Marks(`${folder}-marks`);
  const go = `${folder}-go`;
  makePipe(go);
  const writes = `yes '${LINE}' | head -c ${BYTES}`;
  const task = {
    name: 'writer',
    command: `${marks.markOf('writer')}; read -r _ <'${go}'; ${writes}; ${marks.markOf('written')}; exec sleep 1000000`,
  };
  try {
    return await withPeer(peer, folder, [task], async (running) => {
      await marks.started([task.name]);
      const logs = running.logFolder(task.name);
      const start = performance.now();
      await writeFile(go, 'go\n');
      await until('the end of the log', () => isWritten(peer, marks, logs) || undefined, 2, DEADLINE_MS);
      return (performance.now() - start) / 1000;
    });
  } finally {
    marks.close();
    // What was written is not to be written to the disk by the kernel while the next one is measured.
    await pause(200);
  }
}

function isWritten(peer: Peer, marks: Marks, logs: string): boolean {
  marks.read();
  return marks.pids.has('written') && (peer.name === CUT || sizeOf(logs) >= BYTES);
}

function makePipe(path: string): void {
  const { status, stderr } = spawnSync('mkfifo', [path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mkfifo: ${stderr}`);
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce(
    (sum, file) => sum + (statSync(join(file.parentPath, file.name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function rowOf({ name }: Peer, seconds: readonly number[] | undefined): Row {
  if (!seconds) return withoutValues(name, NOT_INSTALLED);
  const values = {
    runs: seconds.length,
    medianSeconds: median(seconds),
    p95Seconds: p95(seconds),
    megabytesPerSecond: BYTES / 1e6 / median(seconds),
  };
  return { name, values };
}
