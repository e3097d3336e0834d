import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { MachineSitter } from '../../core/machine/machine-sitter.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { askHealth } from '../../core/machine/task/health-probe.ts';
import { healthCheck } from '../../core/model/health-check.ts';
import { ProcEnforcer } from '../../plugins/enforcer-proc/proc-enforcer.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { definition } from './machine-under-test.ts';

/** Raising the score is always allowed; so a daemon that has lowered its own is played by one whose tasks are to have more. */
const TASKS = 321;

t.test('tasks, and what is asked about their health, do not inherit the score of their sitter', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-oom-'));
  const services = { dataDir, clock: new SystemClock(), logger: silentLogger, processes: new ProcTable() };
  const enforcer = new ProcEnforcer(services, { idle_interval: 0.1 });
  await enforcer.start();
  const sitter = new MachineSitter({ ...services, enforcer, oomShield: { tasksScore: TASKS } });
  await sitter.start();
  t.teardown(async () => {
    await sitter.remove('web');
    await sitter.stop();
    await enforcer.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
  });
  const command = 'cat /proc/self/oom_score_adj; exec sleep 1000';
  await sitter.put(definition('web', { command }), { start: true });
  const path = (): string => sitter.log('web', 'stdout').log(1)?.path ?? '';
  await eventually(
    () => sitter.task('web').phase === 'running' && readFileSync(path(), 'utf8') !== '',
    'it has spoken',
  );
  t.equal(readFileSync(path(), 'utf8'), `${TASKS}\n`);
  const check = healthCheck.parse({ command: 'sleep 0.2; cat /proc/self/oom_score_adj; false' });
  const context = { become: [], env: { PATH: process.env.PATH ?? '' }, cwd: '/', oomScore: TASKS };
  const answer = await askHealth(check, context, new AbortController().signal);
  t.match(answer.sentence, new RegExp(`code 1: ${TASKS}$`));
});
