import { spawn } from 'node:child_process';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import type { HealthAnswer } from '../../decide/task/task-health.ts';
import { messageOf } from '../../errors.ts';
import type { HealthCheck } from '../../model/health-check.ts';
import { shellPath } from '../shim/shell-path.ts';
import { setStanding, type TasksStanding } from '../shim/standing.ts';

/** As whom and where a command is run. */
export interface ProbeContext {
  become: readonly string[];
  env: Record<string, string>;
  cwd: string;
  standing: TasksStanding;
}

const LAST_WORDS_BYTES = 200;
const LAST_WORDS_MS = 200;

/** Asks once. Never throws: no answer is an answer. Ends what it began when `signal` is aborted. */
export async function askHealth(check: HealthCheck, context: ProbeContext, signal: AbortSignal): Promise<HealthAnswer> {
  const late = AbortSignal.timeout(check.timeout * 1000);
  const either = AbortSignal.any([signal, late]);
  try {
    if (check.http !== undefined) return await askHttp(check.http, either);
    if (check.tcp !== undefined) return await askTcp(check.tcp, either);
    return await askCommand(check.command ?? '', context, either);
  } catch (error) {
    const target = check.http ?? check.tcp ?? 'the command';
    if (late.aborted) return { well: false, sentence: `${target}: no answer within ${check.timeout} s` };
    return { well: false, sentence: `${target}: ${messageOf(error)}` };
  }
}

function askHttp(url: string, signal: AbortSignal): Promise<HealthAnswer> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const request = get(url, { signal, agent: false, headers: { 'user-agent': 'cerebro-health' } }, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy(); // its body is of no interest, however long it may be
      resolve({ well: status > 0 && status < 400, sentence: `${url} answered ${status}` });
    });
    request.once('error', reject);
  });
}

function askTcp(target: string, signal: AbortSignal): Promise<HealthAnswer> {
  const at = target.lastIndexOf(':');
  const host = target.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(target.slice(at + 1)), signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ well: true, sentence: `${target} takes connections` });
    });
    socket.once('error', reject);
  });
}

function askCommand(command: string, context: ProbeContext, signal: AbortSignal): Promise<HealthAnswer> {
  const { become, env, cwd, standing } = context;
  const [program = '/bin/sh', ...args] = [...become, shellPath(), '-c', command];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    if (child.pid !== undefined) setStanding(child.pid, standing);
    let said = '';
    let waits: NodeJS.Timeout | undefined;
    const hear = (bytes: Buffer): void => {
      said = (said + bytes.toString('utf8')).slice(-LAST_WORDS_BYTES);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const end = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL'); // what it started goes with it
      } catch {
        // all of it has ended
      }
    };
    const abort = (): void => {
      end();
      reject(new Error('it was broken off'));
    };
    signal.addEventListener('abort', abort, { once: true });
    child.once('error', reject);
    child.once('exit', () => {
      end();
      // What it said may still be on its way; but whoever left its group with our pipes in his hands is not waited for.
      waits = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, LAST_WORDS_MS);
    });
    child.once('close', (code, killedBy) => {
      clearTimeout(waits);
      signal.removeEventListener('abort', abort);
      const last = said.trim().split('\n').at(-1) ?? '';
      const words = code === 0 || last === '' ? '' : `: ${last}`;
      resolve({ well: code === 0, sentence: `the command ended with ${killedBy ?? `code ${code}`}${words}` });
    });
  });
}
