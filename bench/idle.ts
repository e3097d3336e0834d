/**
 * What a machine sitter takes while its tasks sleep: memory for each task (its shim, and what the daemon has grown by), and CPU of the daemon
 * and all shims. Once with a memory limit on each task and once without. The floor is a shell that has started the same tasks.
 *
 *   node --import tsx bench/idle.ts [--tasks 500] [--settle 20] [--window 30] [--json FILE]
 *
 * On real cgroup v2: test/vm/run node --import=tsx bench/idle.ts
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { inFolder } from './bench-daemon.ts';
import { bareShell } from './peers/bare.ts';
import { textOf } from './peers/section.ts';
import { sittersAlone, standingSections } from './peers/standing-sections.ts';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '500' },
    settle: { type: 'string', default: '20' },
    window: { type: 'string', default: '30' },
    json: { type: 'string' },
  },
});
const [tasks = 0, settleSeconds = 0, windowSeconds = 0] = [values.tasks, values.settle, values.window].map(Number);
if (![tasks, settleSeconds, windowSeconds].every((number) => Number.isInteger(number) && number > 0))
  throw new Error('--tasks, --settle and --window take whole numbers from 1 on');

const sections = await inFolder((folder) =>
  standingSections(folder, { tasks, memory: true, idle: true, settleSeconds, windowSeconds }, [
    ...sittersAlone(),
    bareShell(),
  ]),
);
for (const section of sections) console.log(textOf(section));
const load = loadavg().map((share) => Math.round(share * 10) / 10);
console.log(`\n- load ${load.join(', ')} on ${cpus().length} cores, Linux ${release()}`);
if (values.json !== undefined) {
  const found = sections.map(({ title, rows }) => ({ title, rows }));
  writeFileSync(
    values.json,
    `${JSON.stringify({ at: new Date().toISOString(), load, tasks, sections: found }, null, 2)}\n`,
  );
}
