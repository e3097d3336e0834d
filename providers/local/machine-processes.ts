import type { Clock } from '../../core/contracts/clock.ts';
import type { ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';
import { CerebroError } from '../../core/errors.ts';

/** The variable that marks every process of a local machine: its sitter, shims, tasks and recipes. Its value: CLUSTER/MACHINE. */
export const MACHINE_MARKER = 'CEREBRO_MACHINE';

const KILL_DEADLINE_MS = 15_000;

/** Ends every process whose mark `isOurs`, and what descends from it, until none is left. Throws `timeout` for what does not die. */
export async function killMarked(
  processes: ProcessTable,
  clock: Clock,
  isOurs: (marker: string) => boolean,
): Promise<void> {
  const deadline = clock.monotonic() + KILL_DEADLINE_MS;
  // One empty look proves nothing: in the middle of exec a process bears no mark for a moment.
  for (let emptyLooks = 0; emptyLooks < 3; ) {
    const found = markedProcesses(processes, isOurs);
    emptyLooks = found.length === 0 ? emptyLooks + 1 : 0;
    for (const { pid } of found) kill(pid);
    if (clock.monotonic() > deadline) {
      throw new CerebroError('timeout', `processes survive SIGKILL: ${found.map(({ pid }) => pid).join(', ')}`);
    }
    await new Promise<void>((resolve) => clock.timer(10, resolve));
  }
}

/** Everything with such a mark, and what descends from it or shares a session with it. Never ourselves. */
function markedProcesses(processes: ProcessTable, isOurs: (marker: string) => boolean): ProcessInfo[] {
  const all = processes.scan().filter((info) => info.state !== 'Z' && info.pid !== process.pid);
  const marked = all.filter((info) => {
    const marker = processes.environment(info.pid, MACHINE_MARKER);
    return typeof marker === 'string' && isOurs(marker);
  });
  const members = new Set(marked.map((info) => info.pid));
  const sessions = new Set(marked.filter((info) => members.has(info.session)).map((info) => info.session));
  for (let grown = true; grown; ) {
    grown = false;
    for (const info of all) {
      if (members.has(info.pid) || !(members.has(info.ppid) || sessions.has(info.session))) continue;
      members.add(info.pid);
      grown = true;
    }
  }
  return all.filter((info) => members.has(info.pid));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone since it was listed
  }
}
