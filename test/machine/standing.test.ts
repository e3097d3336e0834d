import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { MachineSitter } from '../../core/machine/machine-sitter.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { Standing } from '../../core/machine/shim/standing.ts';
import { askHealth } from '../../core/machine/task/health-probe.ts';
import { healthCheck } from '../../core/model/health-check.ts';
import { ProcEnforcer } from '../../plugins/enforcer-proc/proc-enforcer.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { definition } from './machine-under-test.ts';

/** To give up standing is always allowed; so a daemon that has more than its tasks is played by one whose tasks are to have less. */
const TASKS = { oomScore: 321, nice: 7 };
const SHOW = 'cat /proc/self/oom_score_adj; nice';
const SHOWN = `${TASKS.oomScore}\n${TASKS.nice}\n`;

t.test('tasks, and what is asked about their health, do not inherit the standing of their sitter', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-oom-'));
  const services = { dataDir, clock: new SystemClock(), logger: silentLogger, processes: new ProcTable() };
  const enforcer = new ProcEnforcer(services, { idle_interval: 0.1 });
  await enforcer.start();
  const sitter = new MachineSitter({ ...services, enforcer, standing: { tasks: TASKS } });
  await sitter.start();
  t.teardown(async () => {
    await sitter.remove('web');
    await sitter.stop();
    await enforcer.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 });
  });
  const command = `${SHOW}; exec sleep 1000`;
  await sitter.put(definition('web', { command }), { start: true });
  const path = (): string => sitter.log('web', 'stdout').log(1)?.path ?? '';
  await eventually(
    () => sitter.task('web').phase === 'running' && readFileSync(path(), 'utf8').split('\n').length > 2,
    'it has spoken',
  );
  t.equal(readFileSync(path(), 'utf8'), SHOWN);
  const check = healthCheck.parse({ command: `sleep 0.2; echo $(${SHOW}); false` });
  const context = { become: [], env: { PATH: process.env.PATH ?? '' }, cwd: '/', standing: TASKS };
  const answer = await askHealth(check, context, new AbortController().signal);
  t.match(answer.sentence, /code 1: 321 7$/);
});

t.test('a sitter that may raises its own standing, and gives it back', async (t) => {
  if (skipUnless(t, userInfo().uid === 0, 'only root may raise its own standing')) return;
  const score = (): string => readFileSync('/proc/self/oom_score_adj', 'latin1').trim();
  const before = { oomScore: Number(score()), nice: getPriority() };
  const standing = new Standing(silentLogger);
  t.teardown(() => standing.stop());
  standing.start();
  // Not every root may do both: a container's may lack a capability.
  const { oomScore, nice } = standing.tasks;
  t.same(
    [Number(score()), getPriority()],
    [oomScore === null ? before.oomScore : -900, nice === null ? before.nice : -10],
  );
  t.same(
    { oomScore: oomScore ?? before.oomScore, nice: nice ?? before.nice },
    before,
    'which is what tasks are to have',
  );
  t.not(nice ?? oomScore, null, 'one of them at least');
  standing.stop();
  t.same({ oomScore: Number(score()), nice: getPriority() }, before);
  t.same(standing.tasks, { oomScore: null, nice: null });
});
