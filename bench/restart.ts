/**
 * From the kill of a task to its replacement running, seen from outside: the task's first act is a line in a file, and what
 * is measured is from just before `kill -9` until that line is there. The floor is a bare Node parent of the same command.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchDaemon, inFolder, pause } from './bench-daemon.ts';
import { report, type Series } from './bench-report.ts';
import { Marks } from './marks.ts';

const RUNS = 100;
const WARM_UPS = 10;
/** Between two kills, so that what the last end left to be tidied up is done. */
const PAUSE_MS = 40;
const MANY = 100;
/** More than any host has: how much is reserved is not what is measured. */
const ROOM = ['--capacity-cpu', '10000', '--capacity-mem', '10000000'];

async function measure(names: readonly string[], marks: Marks): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < WARM_UPS + RUNS; i++) {
    const name = names[i % names.length] ?? '';
    const took = await marks.restart(name);
    if (i >= WARM_UPS) ms.push(took);
    await pause(PAUSE_MS);
  }
  return ms;
}

async function floor(folder: string): Promise<number[]> {
  const marks = new Marks(join(folder, 'floor-marks'));
  const parent = spawn(
    process.execPath,
    [fileURLToPath(new URL('bare-parent.js', import.meta.url)), marks.commandOf('bare')],
    { stdio: 'ignore' },
  );
  try {
    await marks.started(['bare']);
    return await measure(['bare'], marks);
  } finally {
    parent.kill('SIGTERM');
    marks.close();
  }
}

async function underSitter(folder: string, count: number, limits: Record<string, number>): Promise<number[]> {
  const label = `${count}${Object.keys(limits).join('')}`;
  const marks = new Marks(join(folder, `${label}-marks`));
  const names = Array.from({ length: count }, (_, n) => `task-${n}`);
  const daemon = new BenchDaemon(
    'machinesitter',
    ['--port', '0', '--port-fallback', ...ROOM],
    join(folder, label),
    process.env,
  );
  try {
    await daemon.ready();
    for (const name of names) {
      const configuration = {
        name,
        command: marks.commandOf(name),
        ensure_alive: true,
        backoff: { first: 0, then: 0, factor: 1, max: 0, reset_after: 0 },
        ...limits,
      };
      const definition = { id: name, job: name, version: 1, configuration };
      await daemon.callJson('PUT', `/api/v1/tasks/${name}`, { definition, start: true });
    }
    await marks.started(names);
    return await measure(names, marks);
  } finally {
    if (daemon.url !== '' && !daemon.ended) await daemon.callJson('POST', '/api/v1/suspend', {});
    await daemon.end(20_000);
    // Should the sitter not have ended them, the tasks are ours to end: by the pids that they wrote themselves.
    for (const pid of marks.pids.values()) if (isSleep(pid)) process.kill(pid, 'SIGKILL');
    marks.close();
  }
}

function isSleep(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === 'sleep\u00001000\u0000';
  } catch {
    return false; // it has ended, as it should
  }
}

const FLOOR = 'bare Node parent (floor)';
const series = await inFolder(async (folder): Promise<Series[]> => {
  const before = await floor(folder);
  const one = await underSitter(folder, 1, {});
  const many = await underSitter(folder, MANY, {});
  const held = await underSitter(folder, MANY, { mem: 64 });
  const after = await floor(folder);
  return [
    // Half of it before and half after, so that a change of the host's load during the run shows in both.
    { name: FLOOR, ms: [...before, ...after] },
    { name: '1 task', ms: one, against: FLOOR },
    { name: `${MANY} tasks`, ms: many, against: FLOOR },
    { name: `${MANY} tasks, each held to 64 MB`, ms: held, against: FLOOR },
  ];
});
report('kill -9 of a task to its replacement running', series, { runs: RUNS, warmUps: WARM_UPS, pauseMs: PAUSE_MS });
