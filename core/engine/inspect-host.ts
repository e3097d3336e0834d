import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem, userInfo } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Logger } from '../contracts/logger.ts';
import { probeLogMethod } from '../machine/logs/log-cut.ts';
import { baseEnvironment } from '../machine/machine-sitter.ts';
import { ProcTable } from '../machine/proc-table.ts';
import type { Finding } from '../model/finding.ts';
import type { LogMethod } from '../model/task.ts';
import { createPlugins, loadPlugins, pluginsFor } from './load-plugins.ts';
import { noIdentities } from './no-identities.ts';
import { packageRoot, selfCommand } from './package-root.ts';
import { SystemClock } from './system-clock.ts';

const LOG_METHODS: Record<LogMethod, string> = {
  collapse: 'the heads of logs are collapsed: no line is lost, files stay as small as they should be',
  punch: 'the heads of logs become holes: no line is lost',
  copytruncate: 'logs are copied and cut: lines that are written in between are lost',
  none: 'nothing can be written there',
};

/** Watches that a machine with some hundred tasks needs. */
const WANTED_WATCHES = 8192;
const WANTED_PIDS = 32_768;

/** What this host can do for tasks, and what to change so that it can do more. Changes nothing. */
export async function inspectHost(options: { dataDir: string; pluginsFile: string | undefined }): Promise<Finding[]> {
  return [
    host(),
    ...(await enforcers(options.pluginsFile)),
    ...programs(),
    await logs(options.dataDir),
    kernelLimit(
      'inotify watches',
      '/proc/sys/fs/inotify/max_user_watches',
      'fs.inotify.max_user_watches',
      WANTED_WATCHES,
    ),
    kernelLimit('process numbers', '/proc/sys/kernel/pid_max', 'kernel.pid_max', WANTED_PIDS),
  ];
}

function host(): Finding {
  const uid = process.getuid?.();
  const gb = (totalmem() / 2 ** 30).toFixed(1);
  return {
    about: 'host',
    grade: 'good',
    found: `${availableParallelism()} cores, ${gb} GB, Node ${process.version}, as ${userName() ?? `user ${uid}`}`,
    advice: uid === 0 ? null : 'as root, tasks could run as other users (uid)',
  };
}

/** undefined: the list of users does not name it, as in a container. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

async function enforcers(pluginsFile: string | undefined): Promise<Finding[]> {
  const quiet = (): void => undefined;
  const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => logger };
  const loaded = (await loadPlugins(pluginsFile ?? join(packageRoot, 'plugins.json'), 'machine')).filter(
    ({ definition }) => definition.point === 'limit-enforcer',
  );
  const services = {
    clock: new SystemClock(),
    logger,
    processes: new ProcTable(),
    dataDir: tmpdir(),
    identities: noIdentities,
    tasksGroup: '',
    recipePath: [],
  };
  const plugins = createPlugins(loaded, () => ({ ...services, selfCommand: selfCommand(pluginsFile) }));
  const findings: Finding[] = [];
  let chosen = false;
  for (const enforcer of pluginsFor(plugins, 'limit-enforcer')) {
    const answer = await enforcer.probe();
    const about = `limits by ${enforcer.name}`;
    if (!answer.works) {
      const [found = '', ...advice] = answer.sentence.split('; ');
      findings.push({ about, grade: 'worse', found, advice: advice.join('; ') || null });
      continue;
    }
    const holds = Object.entries(enforcer.holds).map(([limit, hold]) => `${limit} ${hold}`);
    findings.push({
      about,
      grade: 'good',
      found: `${chosen ? 'works too' : 'in force'}: ${holds.join(', ')}`,
      advice: null,
    });
    chosen = true;
  }
  if (!chosen)
    findings.push({ about: 'limits', grade: 'bad', found: 'nobody can hold limits here', advice: 'see above' });
  return findings;
}

function programs(): Finding[] {
  const wanted: [program: string, why: string, grade: Finding['grade'], from: string][] = [
    ['setsid', 'starts tasks as leaders of their sessions', 'bad', 'install util-linux'],
    ['setpriv', 'starts tasks as other users', 'worse', 'install util-linux'],
    ['fallocate', 'holds logs to their size without losing a line', 'worse', 'install util-linux'],
    ['bash', 'runs the commands of tasks; without it /bin/sh does', 'worse', 'install bash'],
  ];
  const path = (baseEnvironment().PATH ?? '').split(delimiter);
  return wanted.map(([program, why, grade, from]) => {
    const place = path.map((folder) => join(folder, program)).find(isExecutable);
    return place === undefined
      ? { about: program, grade, found: `not there: ${why}`, advice: from }
      : { about: program, grade: 'good', found: place, advice: null };
  });
}

async function logs(dataDir: string): Promise<Finding> {
  const folder = resolve(dataDir);
  const there = existsSync(folder);
  // A data folder that is not there yet would be on this file system.
  const own = there ? null : tryMake(resolve(folder, '..'));
  const looked = there ? folder : (own ?? resolve(folder, '..'));
  try {
    const method = await probeLogMethod(looked);
    if (method === undefined)
      return { about: `logs in ${folder}`, grade: 'worse', found: 'its disk is full', advice: 'make room' };
    const grade = method === 'collapse' || method === 'punch' ? 'good' : method === 'none' ? 'bad' : 'worse';
    const advice = grade === 'good' ? null : 'put the data folder on ext4, XFS or tmpfs (--data-dir)';
    return { about: `logs in ${folder}`, grade, found: `${method}: ${LOG_METHODS[method]}`, advice };
  } finally {
    if (own !== null) rmSync(own, { recursive: true, force: true });
  }
}

function tryMake(parent: string): string | null {
  try {
    return mkdtempSync(join(parent, '.cerebro-doctor-'));
  } catch {
    return null; // said by what the probe finds there
  }
}

function kernelLimit(about: string, file: string, name: string, wanted: number): Finding {
  const value = Number(readFileSync(file, 'utf8'));
  return value >= wanted
    ? { about, grade: 'good', found: String(value), advice: null }
    : { about, grade: 'worse', found: `${value}, few for many tasks`, advice: `sysctl ${name}=${wanted}` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not here
  }
}
