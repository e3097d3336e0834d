import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ProcTable } from '../../core/machine/proc-table.ts';
import type { RunEnd, TaskStatus } from '../../core/model/task.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

const ROUNDS = Number(process.env.CEREBRO_CRASH_ROUNDS ?? 4);
const TASKS = 12;
t.setTimeout(120_000 + ROUNDS * 20_000);

/** Repeatable, so that what one run found another can look for: the seed is in the output. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * Says which run it is while it holds a lock that only one living run of its task can hold, and how it will end before it ends.
 * What is asked for later, like `lives`, changes the definition.
 */
function command(folder: string, id: string, lives: string, code: number): string {
  const file = (kind: string): string => `'${join(folder, 'witness', `${id}.${kind}`)}'`;
  return [
    `exec 9>>${file('lock')}`,
    `flock -n 9 || echo "$CEREBRO_RUN" >>${file('double')}`,
    `sleep ${lives} 9>&9`,
    `echo "$CEREBRO_RUN ${code}" >>${file('ends')}`,
    `exit ${code}`,
  ].join('; ');
}

const lines = (path: string): string[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

t.test(`${ROUNDS} times kill -9 under load: no orphan, no double, no lost exit code`, async (t) => {
  const seed = Number(process.env.CEREBRO_CRASH_SEED ?? Date.now() % 100_000);
  t.comment(`CEREBRO_CRASH_SEED=${seed}`);
  const random = randomFrom(seed);
  const among = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const daemon = new MachineDaemon();
  const witness = join(daemon.folder, 'witness');
  mkdirSync(witness);
  await daemon.start();
  t.teardown(() => daemon.remove());
  const ids = Array.from({ length: TASKS }, (_, i) => `task-${i}`);
  /** What was ordered last and answered, where nothing was ordered without an answer since. */
  const promised = new Map<string, 'run' | 'gone' | null>();
  const removedMarkers = new Set<string>();

  const order = async (id: string): Promise<void> => {
    const before = promised.get(id) ?? null;
    promised.set(id, null);
    const configuration = {
      command: command(
        daemon.folder,
        id,
        among(['0.01', '0.02', '0.05', '0.1', '0.3', '1', '1000']),
        among([0, 0, 3, 7]),
      ),
      ...(random() < 0.5 ? { ensure_alive: true, backoff: { then: 0.1, max: 0.2 } } : { allow_exit: true }),
      cwd: daemon.folder,
      stop_timeout: 2,
      logs: { keep_runs: 1000 },
    };
    const what = random();
    if (what < 0.6) {
      await daemon.add(id, configuration);
      promised.set(id, 'run');
    } else if (what < 0.7) {
      try {
        await daemon.call('DELETE', `/api/v1/tasks/${id}`);
      } finally {
        // With its files go the post-mortems, whether that was answered or not: its ends need not be known any more.
        for (const line of lines(join(witness, `${id}.ends`))) removedMarkers.add(line.split(' ')[0] ?? '');
      }
      promised.set(id, 'gone');
    } else {
      await daemon.call('POST', `/api/v1/tasks/${id}/actions`, { action: among(['start', 'stop', 'restart']) });
      promised.set(id, before === 'gone' ? 'gone' : null);
    }
  };

  for (let round = 0; round < ROUNDS; round++) {
    let over = false;
    const workers = ids.map(async (id) => {
      while (!over) {
        // Refusals (it is being removed, it is not there) and a daemon that is gone are part of it.
        await order(id).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, random() * (random() < 0.5 ? 200 : 2500)));
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * 2000));
    await daemon.end('SIGKILL');
    over = true;
    await Promise.all(workers);
    await daemon.start();
    const tasks = await daemon.tasks();
    const { damaged } = await daemon.call<{ damaged: Record<string, string> }>('GET', '/api/v1/machine');
    if (Object.keys(damaged).length > 0) t.fail(`round ${round}: damaged are ${JSON.stringify(damaged)}`);
    for (const [id, wish] of promised) {
      if (wish === 'run' && !tasks.has(id)) t.fail(`round ${round}: ${id} was taken, and is lost`);
      if (wish === 'run' && tasks.get(id)?.run === 0) t.fail(`round ${round}: ${id} was to be started, and nobody has`);
      if (wish === 'gone' && tasks.has(id)) t.fail(`round ${round}: ${id} was removed, and is there again`);
    }
  }

  // Everything comes to rest: what still runs is stopped.
  let tasks = new Map<string, TaskStatus>();
  for (const id of (await daemon.tasks()).keys())
    await daemon.call('POST', `/api/v1/tasks/${id}/actions`, { action: 'stop' });
  await eventually(async () => {
    tasks = await daemon.tasks();
    return [...tasks.values()].every(({ phase }) => ['stopped', 'exited', 'failed'].includes(phase));
  }, 'all tasks are at rest');

  const doubles = readdirSync(witness).filter((file) => file.endsWith('.double'));
  t.same(doubles, [], 'no task ever ran twice at a time');
  const processes = new ProcTable();
  const orphans = processes.pids().filter((pid) => {
    return processes.environment(pid, 'CEREBRO_RUN') !== undefined && isOf(pid, daemon.folder);
  });
  t.same(orphans, [], 'nothing runs that nobody knows of');

  let known = 0;
  for (const id of ids) {
    const ends = new Map((tasks.has(id) ? await daemon.runs(id) : []).map((end) => [end.run, end]));
    const byMarker = new Map<string, RunEnd | undefined>();
    const runs = join(daemon.folder, 'tasks', id, 'runs');
    for (const run of existsSync(runs) ? readdirSync(runs) : []) {
      const record = join(runs, run, 'run.json');
      if (!existsSync(record)) continue; // killed before it was written: that run never began
      const { marker } = JSON.parse(readFileSync(record, 'utf8')) as { marker: string };
      byMarker.set(marker, ends.get(Number(run)));
    }
    for (const line of lines(join(witness, `${id}.ends`))) {
      const [marker = '', code] = line.split(' ');
      if (removedMarkers.has(marker)) continue;
      const end = byMarker.get(marker);
      if (!byMarker.has(marker) && !tasks.has(id)) continue; // its removal was not answered, but done
      known += 1;
      if (!end)
        t.fail(
          `${id}: the end of run ${marker} with code ${code} is not known (${byMarker.has(marker) ? 'its run is' : 'nor is its run'})`,
        );
      // It had said so when it was stopped: then the signal was quicker than its exit.
      else if (end.code !== Number(code) && end.signal === null)
        t.fail(`${id} run ${end.run} ended with ${code}, known is ${JSON.stringify(end)}`);
    }
  }
  t.ok(known > 0, `${known} ends were compared`);
  t.comment(`${known} ends were compared`);
});

/** Whether a process is of this test: others on this host may run the same. */
function isOf(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === folder;
  } catch {
    return false; // it has ended meanwhile
  }
}
