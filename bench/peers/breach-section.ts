import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../bench-daemon.ts';
import { cerebro } from './cerebro.ts';
import { isInstalled, type Peer, type PeerTask, withPeer } from './peer.ts';
import { pm2 } from './pm2.ts';
import { runit } from './runit.ts';
import { s6 } from './s6.ts';
import { median, NOT_INSTALLED, p95, type Row, type Section, withoutValues, withRatios } from './section.ts';
import { supervisord } from './supervisord.ts';

const TASK = fileURLToPath(new URL('breach-task.js', import.meta.url));
const LIMIT_MB = 100;
const BELOW_MB = 90;
const BEYOND_MB = 130;
/** Long enough for a sample below the limit to be taken in any phase of the sampling. */
const WAIT_MS = 300;
const RUNS = 20;
/** How often PM2 looks, by default. Its tasks breach spread over that time, and all are looked at together. */
const PM2_CHECK_MS = 30_000;
const PM2_TASKS = 8;
const NO_LIMIT = 'has no limit of memory (only that of ulimit: an allocation fails)';

interface Breach {
  pid: number;
  at: bigint;
}

export async function breachSection(folder: string): Promise<Section> {
  const sitter = cerebro('Cerebro', { mem: LIMIT_MB, noPause: true });
  const pm = pm2('PM2, --max-memory-restart', { memoryLimit: `${LIMIT_MB}M` });
  const held = await oneAfterAnother(sitter, join(folder, 'breach-cerebro'));
  const rows = [
    rowOf(sitter.name, held.ms),
    isInstalled(pm)
      ? rowOf(pm.name, await sideBySide(pm, join(folder, 'breach-pm2')))
      : withoutValues(pm.name, NOT_INSTALLED),
    ...[runit('runit'), s6('s6'), supervisord('supervisord')].map(({ name }) => withoutValues(name, NO_LIMIT)),
  ];
  return {
    title: `5. From a task's breach of its memory limit (${LIMIT_MB} MB) to its end`,
    columns: [
      { key: 'runs', head: 'runs' },
      { key: 'medianMs', head: 'median ms', digits: 1 },
      { key: 'p95Ms', head: 'p95 ms', digits: 1 },
      { key: 'ratio', head: 'x Cerebro', digits: 1 },
    ],
    rows: withRatios(rows, 'medianMs', sitter.name, 'ratio'),
    about: [
      `the task goes from ${BELOW_MB} to ${BEYOND_MB} MB in one go; from just before that until its pid is gone. Taking the memory is part of it`,
      ...held.remarks,
      'where the kernel does not hold it, Cerebro looks every 0.1 s by default (poll_interval); PM2 every 30 s, and then asks politely (SIGINT)',
    ],
  };
}

/** The same task breaches again and again: it is started again each time. */
async function oneAfterAnother(peer: Peer, folder: string): Promise<{ ms: number[]; remarks: string[] }> {
  const marks = newMarks(folder);
  return withPeer(peer, folder, [breaching('task', marks, WAIT_MS)], async ({ remark }) => {
    const ms: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const breach = await until('the next breach', () => breachesIn(marks)[run], 1);
      ms.push(await msUntilGone(breach, 10_000));
    }
    return { ms, remarks: remark === undefined ? [] : [remark] };
  });
}

/** Many tasks breach, one after the other within one period of the checks: the whole of that period is tried at once. */
async function sideBySide(peer: Peer, folder: string): Promise<number[]> {
  const marks = newMarks(folder);
  const tasks = Array.from({ length: PM2_TASKS }, (_, n) =>
    breaching(`task-${n}`, marks, 2000 + (n * PM2_CHECK_MS) / PM2_TASKS),
  );
  return withPeer(peer, folder, tasks, () => {
    const ends = tasks.map(async ({ name }) => {
      const breach = await until(
        `the breach of ${name}`,
        () => breachesIn(marks).find((mark) => mark.name === name),
        1,
        3 * PM2_CHECK_MS,
      );
      return msUntilGone(breach, 3 * PM2_CHECK_MS);
    });
    return Promise.all(ends);
  });
}

async function msUntilGone({ pid, at }: Breach, deadlineMs: number): Promise<number> {
  await until(`the end of ${pid}`, () => !existsSync(`/proc/${pid}`) || undefined, 1, deadlineMs);
  return Number(process.hrtime.bigint() - at) / 1e6;
}

function newMarks(folder: string): string {
  const path = `${folder}-marks`;
  writeFileSync(path, '');
  return path;
}

function breaching(name: string, marks: string, waitMs: number): PeerTask {
  const words = [process.execPath, TASK, name, marks, BELOW_MB, BEYOND_MB, waitMs];
  return { name, command: `exec ${words.map((word) => `'${word}'`).join(' ')}` };
}

function breachesIn(marks: string): (Breach & { name: string })[] {
  const lines = readFileSync(marks, 'latin1').split('\n');
  return lines.slice(0, -1).map((line) => {
    const [name = '', pid = '', at = '0'] = line.split(' ');
    return { name, pid: Number(pid), at: BigInt(at) };
  });
}

function rowOf(name: string, ms: readonly number[]): Row {
  return { name, values: { runs: ms.length, medianMs: median(ms), p95Ms: p95(ms) } };
}
