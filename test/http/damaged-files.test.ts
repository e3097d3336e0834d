import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ClusterEvent } from '../../core/model/event.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

t.setTimeout(600_000);

const HURTS: Record<string, (path: string) => void> = {
  truncated: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  garbage: (path) => writeFileSync(path, Buffer.from([0, 255, 123, 10, 34, 200, 10])),
  'of a wrong type': (path) => writeFileSync(path, '[{"run": "one", "definition": 7}]\n'),
  // What cannot be read, for root too.
  unreadable: (path) => {
    rmSync(path, { recursive: true, force: true, maxRetries: 30 });
    symlinkSync(path, path);
  },
  'a folder': (path) => {
    rmSync(path, { recursive: true, force: true, maxRetries: 30 });
    mkdirSync(path);
  },
};
/** Of a task that is in its second run. */
const FILES = [
  'task.json',
  'history',
  'runs/2/run.json',
  'runs/2/exit',
  'runs/2/stdout',
  'runs/2/stderr',
  'runs/2/times',
  'runs/2/stdout.position',
  'runs/1/run.json',
  'runs/1/end.json',
  'runs/2',
  'runs',
];
/** Without these it is not known any more what the task is, or what runs of it. */
const VITAL = new Set(['task.json', 'runs/2/run.json', 'runs/2', 'runs']);
const isFolder = (file: string): boolean => file === 'runs' || file === 'runs/2';

interface Victim {
  id: string;
  file: string;
  how: string;
  pid: number;
}

const ask = async (api: ApiUnderTest, path: string): Promise<number> => {
  try {
    const answer = await api.call(path, { signal: AbortSignal.timeout(60_000) });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 599; // it was broken off
  }
};
const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
};

/** Two tasks that are whole, and one for each file and each way to damage it, all in their second run. */
async function withVictims(t: Test): Promise<{ api: ApiUnderTest; victims: Victim[]; whole: TaskStatus[] }> {
  const api = new ApiUnderTest();
  await api.start();
  t.teardown(() => api.remove());
  const wanted = FILES.flatMap((file) =>
    Object.keys(HURTS)
      .filter((how) => !isFolder(file) || how !== 'truncated')
      .map((how) => ({ id: `${file} ${how}`.replaceAll('/', '-'), file, how })),
  );
  const ids = ['whole', 'whole too', ...wanted.map(({ id }) => id)];
  const command = 'echo hello of $CEREBRO_COPY; echo oops >&2; exec sleep 1000';
  await Promise.all(ids.map((id) => api.put(id, { command, ensure_alive: true, stop_timeout: 1 })));
  const inRun = async (run: number): Promise<void> =>
    eventually(
      async () => (await api.tasks()).every((task) => task.run === run && task.phase === 'running' && task.pid),
      `all are in run ${run}`,
    );
  await inRun(1);
  await Promise.all(ids.map((id) => api.act(id, { action: 'restart' })));
  await inRun(2);
  await eventually(
    async () => (await Promise.all(ids.map((id) => api.text(`/logs/${id}`)))).every((text) => text !== ''),
    'all have said something',
  );
  const tasks = new Map((await api.tasks()).map((task) => [task.id, task]));
  const taken = (id: string): TaskStatus => {
    const task = tasks.get(id);
    if (!task?.pid) throw new Error(`${id} does not run`);
    return task;
  };
  const victims = wanted.map((victim) => ({ ...victim, pid: taken(victim.id).pid ?? 0 }));
  return { api, victims, whole: [taken('whole'), taken('whole too')] };
}

function hurt(api: ApiUnderTest, { id, file, how }: Victim): void {
  const path = join(api.folder, 'tasks', encodeURIComponent(id), file);
  if (!existsSync(path)) writeFileSync(path, '{"a": "file that is not there yet"}\n');
  if (isFolder(file)) rmSync(path, { recursive: true });
  HURTS[how]?.(path);
}

async function others(t: Test, api: ApiUnderTest, whole: readonly TaskStatus[]): Promise<void> {
  for (const { id, pid } of whole) {
    t.match(await api.task(id), { phase: 'running', pid, run: 2 }, `${id} goes on`);
    t.equal(await api.text(`/logs/${id}`), `hello of ${id}\n`);
    t.equal((await api.json<unknown[]>(`/api/v1/tasks/${encodeURIComponent(id)}/runs`)).length, 1);
  }
}

/** Whatever is asked about a victim, there is an answer that is no failure of the daemon. */
async function questions(t: Test, api: ApiUnderTest, id: string): Promise<void> {
  const name = encodeURIComponent(id);
  for (const path of [
    `/api/v1/tasks/${name}`,
    `/api/v1/tasks/${name}/runs`,
    `/api/v1/tasks/${name}/definition`,
    `/api/v1/history?of=${name}&span=hour`,
    `/logs/${name}`,
    `/logs/${name}?run=1`,
    `/logs/${name}?stream=both&tail=5&since=1h`,
    `/tasks/${name}`,
  ]) {
    const status = await ask(api, path);
    if (status >= 500) t.fail(`${id}: GET ${path} was answered with ${status}`);
  }
}

async function removeAll(t: Test, api: ApiUnderTest, victims: readonly Victim[]): Promise<void> {
  for (const { id, pid } of victims) {
    const answer = await api.call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' });
    if (answer.status !== 200) t.fail(`${id}: DELETE was answered with ${answer.status} ${await answer.text()}`);
    await eventually(() => !isAlive(pid), `${id}: nothing runs of it`).catch((error: Error) => t.fail(error.message));
    if (existsSync(join(api.folder, 'tasks', encodeURIComponent(id)))) t.fail(`${id}: its folder is there still`);
  }
  t.equal((await api.tasks()).length, 2, 'the whole ones are left');
  t.same((await api.json<{ damaged: object }>('/api/v1/machine')).damaged, {});
}

t.test('files that are damaged while no daemon runs cost their own task at most', async (t) => {
  const { api, victims, whole } = await withVictims(t);
  await api.stop();
  for (const victim of victims) hurt(api, victim);
  await api.start();
  await others(t, api, whole);
  const { damaged } = await api.json<{ damaged: Record<string, string> }>('/api/v1/machine');
  const told = (await api.json<ClusterEvent[]>('/api/v1/events')).filter(({ kind }) => kind === 'task-damaged');
  await Promise.all(victims.map(({ id }) => questions(t, api, id)));
  for (const { id, file, pid } of victims) {
    const folder = join(api.folder, 'tasks', encodeURIComponent(id));
    const isReported = damaged[folder] !== undefined;
    if (VITAL.has(file)) {
      if (!isReported) t.fail(`${id} is not reported`);
      if (!told.some(({ message }) => message.includes(id) || message.includes(folder))) t.fail(`${id} has no event`);
      if (!isAlive(pid)) t.fail(`${id} was ended`);
      if ((await api.call(`/api/v1/tasks/${encodeURIComponent(id)}`)).status !== 404) t.fail(`${id} is a task still`);
    } else {
      const task = await api.task(id);
      if (isReported || task.phase !== 'running' || task.pid !== pid || task.run !== 2)
        t.fail(`${id} did not go on: ${JSON.stringify({ isReported, ...task })}`);
    }
  }
  await removeAll(t, api, victims);
});

t.test('files that are damaged under a daemon do not disturb it', async (t) => {
  const { api, victims, whole } = await withVictims(t);
  for (const victim of victims) hurt(api, victim);
  await others(t, api, whole);
  await Promise.all(victims.map(({ id }) => questions(t, api, id)));
  for (const { id, pid } of victims) {
    t.match(await api.task(id), { phase: 'running', pid }, `${id} goes on`);
  }
  // Those that can be written in a new run are well again with it; the others say why not, and nothing runs of them twice.
  await Promise.all(victims.map(({ id }) => api.act(id, { action: 'restart' })));
  for (const { id, pid } of victims) await eventually(() => !isAlive(pid), `${id}: run 2 has ended`);
  await Promise.all(victims.map(({ id }) => questions(t, api, id)));
  await others(t, api, whole);
  await removeAll(t, api, victims);
});
