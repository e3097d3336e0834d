import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Clock } from '../../core/contracts/clock.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { Cgroup2Enforcer } from '../../plugins/enforcer-cgroup2/cgroup2-enforcer.ts';
import { ProcEnforcer } from '../../plugins/enforcer-proc/proc-enforcer.ts';
import { needsCgroup2 } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { limitEnforcerSuite } from '../suites/index.ts';

// A guest is slow, above all to start processes.
const inGuest = process.env.CEREBRO_VM === '1';
t.setTimeout(inGuest ? 900_000 : 200_000);

const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-enforcers-'));
t.teardown(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 30 }));

const services = (clock: Clock): ConstructorParameters<typeof Cgroup2Enforcer>[0] => ({
  clock,
  logger: silentLogger,
  processes: new ProcTable(),
  dataDir,
});
const proc = (clock: Clock = new SystemClock()): ProcEnforcer =>
  new ProcEnforcer(services(clock), { idle_interval: 0.1 });
const cgroup2 = (clock: Clock = new SystemClock()): Cgroup2Enforcer =>
  new Cgroup2Enforcer(services(clock), { mount: '/sys/fs/cgroup' });

t.test('enforcer-proc', { skip: inGuest && 'it needs no guest' }, async (t) => {
  const suite = limitEnforcerSuite(proc);
  t.ok(suite.length >= 25);
  for (const { name, run } of suite) await t.test(name, async (t) => run(t));
});

t.test('enforcer-cgroup2', async (t) => {
  if (needsCgroup2(t, await cgroup2().probe())) return;
  for (const { name, run } of limitEnforcerSuite(cgroup2)) await t.test(name, async (t) => run(t));
});
