/**
 * A machine sitter with 500 tasks: how long until all of them run, how long its API takes to answer meanwhile, and a list of all.
 * The floor is a bare shell that starts 500 of the same command. Then 1,000 followers of one log, and how fast a whole log is sent;
 * its floor is nginx with the same file, where there is nginx.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { freePort } from '../test/fakes/free-port.ts';
import { startAsking } from './asking.ts';
import { BenchDaemon, inFolder, pause, until } from './bench-daemon.ts';
import { percentile, report, type Series } from './bench-report.ts';
import { Marks } from './marks.ts';

const TASKS = 500;
const FOLLOWERS = 1000;
const LOG_BYTES = 256 * 1024 * 1024;
const ROOM = ['--capacity-cpu', '10000', '--capacity-mem', '10000000'];
/** Orders under way at a time. */
const WORKERS = 16;
const ASK_EVERY_MS = 20;

const names = Array.from({ length: TASKS }, (_, n) => `task-${n}`);

function allRun(marks: Marks): true | undefined {
  marks.read();
  return names.every((name) => marks.pids.has(name)) || undefined;
}

/** Milliseconds until all tasks have said that they run. */
async function floor(folder: string): Promise<number> {
  const marks = new Marks(join(folder, 'floor-marks'));
  const script = names.map((name) => `(${marks.commandOf(name)}) &`).join('\n');
  writeFileSync(join(folder, 'floor.sh'), `${script}\nwait\n`);
  const start = performance.now();
  const shell = spawn('/bin/sh', [join(folder, 'floor.sh')], { stdio: 'ignore', detached: true });
  try {
    await until('all of them', () => allRun(marks), 2);
    return performance.now() - start;
  } finally {
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
    marks.close();
  }
}

async function put(daemon: BenchDaemon, name: string, command: string): Promise<void> {
  const configuration = { name, command, ensure_alive: true, stop_timeout: 1 };
  const definition = { id: name, job: name, version: 1, configuration };
  await daemon.callJson('PUT', `/api/v1/tasks/${name}`, { definition, start: true });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function starts(daemon: BenchDaemon, marks: Marks): Promise<{ all: number; answers: number[] }> {
  const asking = await startAsking(`${daemon.url}/api/v1/machine`, join(daemon.dataDir, 'admin.token'), ASK_EVERY_MS);
  const start = performance.now();
  const waiting = [...names];
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      await put(daemon, name, marks.commandOf(name));
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  await until('all tasks', () => allRun(marks), 2, 120_000);
  const all = performance.now() - start;
  return { all, answers: await asking.stop() };
}

/** Each follower's time from the writing of a line until it is there. */
async function followers(daemon: BenchDaemon, folder: string): Promise<{ delays: number[]; rssMb: number }> {
  const token = readFileSync(join(daemon.dataDir, 'admin.token'), 'utf8').trim();
  const go = join(folder, 'go');
  await put(daemon, 'crowd', `while [ ! -e '${go}' ]; do sleep 0.02; done; date +%s%3N; exec sleep 1000`);
  const delays: number[] = [];
  let open = 0;
  const requests = Array.from({ length: FOLLOWERS }, () => {
    const headers = { authorization: `Bearer ${token}` };
    const outgoing = request(`${daemon.url}/logs/crowd?follow`, { agent: false, headers }, (answer) => {
      open += 1;
      answer.setEncoding('utf8').once('data', (text: string) => delays.push(Date.now() - Number(text.trim())));
      answer.on('error', () => undefined); // we cut it ourselves
    });
    outgoing.on('error', () => undefined);
    outgoing.end();
    return outgoing;
  });
  try {
    await until('all followers', () => open === FOLLOWERS || undefined, 10, 60_000);
    writeFileSync(go, '');
    await until('the line at all followers', () => delays.length === FOLLOWERS || undefined, 2, 60_000);
    const status = readFileSync(`/proc/${daemon.child.pid}/status`, 'latin1');
    return { delays, rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024 };
  } finally {
    for (const outgoing of requests) outgoing.destroy();
  }
}

function download(url: string, token: string): number {
  const args = [
    '-sS',
    '-f',
    '-o',
    '/dev/null',
    '-w',
    '%{time_total} %{size_download}',
    '-H',
    `Authorization: Bearer ${token}`,
  ];
  const [seconds, size] = execFileSync('curl', [...args, url], { encoding: 'utf8' })
    .split(' ')
    .map(Number);
  if (size !== LOG_BYTES) throw new Error(`${url} sent ${size} bytes of ${LOG_BYTES}`);
  return (seconds ?? 0) * 1000;
}

async function wholeLog(daemon: BenchDaemon, folder: string): Promise<Series[]> {
  const token = readFileSync(join(daemon.dataDir, 'admin.token'), 'utf8').trim();
  const line = `${'x'.repeat(127)}\n`.repeat(8192);
  const file = join(folder, 'text');
  writeFileSync(file, line.repeat(LOG_BYTES / line.length));
  const configuration = { name: 'big', command: `cat '${file}'; exec sleep 1000`, logs: { max_bytes: 2 * LOG_BYTES } };
  const definition = { id: 'big', job: 'big', version: 1, configuration };
  await daemon.callJson('PUT', '/api/v1/tasks/big', { definition, start: true });
  const log = join(daemon.dataDir, 'tasks', 'big', 'runs', '1', 'stdout');
  await until('the log', () => sizeOf(log) === LOG_BYTES || undefined, 50, 60_000);
  const nginx = await startNginx(folder, log);
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    for (let i = 0; i < 7; i++) {
      ours.push(download(`${daemon.url}/logs/big`, token));
      if (nginx) theirs.push(download(nginx.url, token));
    }
  } finally {
    nginx?.stop();
  }
  const name = 'nginx, the same file (floor)';
  return [
    ...(nginx ? [{ name, ms: theirs.slice(1) }] : []),
    { name: `/logs of ${LOG_BYTES / 1024 / 1024} MB`, ms: ours.slice(1), ...(nginx && { against: name }) },
  ];
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

async function startNginx(folder: string, file: string): Promise<{ url: string; stop(): void } | null> {
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${folder}/t;`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; user root; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; events {}
     http { access_log off; sendfile on; ${temporary.join(' ')}
       server { listen 127.0.0.1:${port}; location = /log { alias ${file}; } } }`,
  );
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  let failed = false;
  child.once('error', () => {
    failed = true;
  });
  child.once('exit', () => {
    failed = true;
  });
  const url = `http://127.0.0.1:${port}/log`;
  const ready = await until('nginx', async () => (failed ? false : (await answers(url)) || undefined), 20, 10_000);
  return ready ? { url, stop: () => void child.kill('SIGTERM') } : null;
}

async function answers(url: string): Promise<true | undefined> {
  try {
    return (await fetch(url, { method: 'HEAD' })).ok || undefined;
  } catch {
    return undefined;
  }
}

const facts: Record<string, unknown> = { tasks: TASKS, followers: FOLLOWERS };
const series = await inFolder(async (folder): Promise<Series[]> => {
  const marks = new Marks(join(folder, 'marks'));
  const before = await floor(folder);
  const args = ['--port', '0', '--port-fallback', ...ROOM];
  const daemon = new BenchDaemon('machinesitter', args, join(folder, 'data'), process.env);
  try {
    await daemon.ready();
    const { all, answers } = await starts(daemon, marks);
    facts.apiP99Ms = Math.round(percentile(answers, 0.99) * 10) / 10;
    await pause(3000); // what the starts left to be done goes on for a while
    const lists: number[] = [];
    for (let i = 0; i < 50; i++) lists.push(await timed(() => daemon.call('GET', '/api/v1/tasks')));
    const crowd = await followers(daemon, folder);
    facts.rssWithFollowersMb = Math.round(crowd.rssMb);
    const logs = await wholeLog(daemon, folder);
    const name = `a bare shell: ${TASKS} of the same command (floor)`;
    return [
      { name, ms: [before] },
      { name: `${TASKS} tasks over the API, until all run`, ms: [all], against: name },
      { name: 'GET /api/v1/machine meanwhile', ms: answers },
      { name: `GET /api/v1/tasks, ${TASKS} of them`, ms: lists },
      { name: `a line, until each of ${FOLLOWERS} followers has it`, ms: crowd.delays },
      ...logs,
    ];
  } finally {
    if (daemon.url !== '' && !daemon.ended) await daemon.callJson('POST', '/api/v1/suspend', {});
    await daemon.end(60_000);
    marks.close();
  }
});
report('a machine sitter with many tasks', series, facts);
