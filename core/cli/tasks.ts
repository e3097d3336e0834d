import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import { runEnd, type TaskStatus, taskStatus } from '../model/task.ts';
import { type CliContext, printJson } from './context.ts';
import { type MachineFlags, machineClient, machineCommand } from './machine-client.ts';
import { table } from './table.ts';

const MB = 1024 * 1024;

/** `cerebro tasks`: what runs on one machine, asked of its own sitter. */
export function tasks(program: Command, context: CliContext): void {
  const group = machineCommand(program.command('tasks'))
    .description('the tasks of one machine, asked of its machine sitter')
    .argument('[command]')
    .action(async (word: string | undefined, flags: MachineFlags) => {
      if (word !== undefined)
        throw new CerebroError(
          'usage',
          `"tasks ${word}": there are tasks, and tasks start, stop, restart, signal and runs`,
        );
      const found = await machineClient(program, flags).get('/api/v1/tasks', z.array(taskStatus));
      if (flags.json) return printJson(context, found);
      if (found.length === 0)
        return context.out('no tasks on this machine yet; a file of tasks brings them: docs/machine-sitter.md');
      const head = ['TASK', 'STATE', 'PID', 'RESTARTS', 'CPU', 'MEMORY', 'REASON'];
      context.out(table(head, found.sort((a, b) => (a.id < b.id ? -1 : 1)).map(rowOf)));
    });

  for (const action of ['start', 'stop', 'restart'] as const) {
    group
      .command(action)
      .description(`${action} a task`)
      .argument('<task>')
      .action(async (task: string, _flags: unknown, command: Command) => {
        const flags = command.optsWithGlobals<MachineFlags>();
        const client = machineClient(program, flags);
        const path = `/api/v1/tasks/${encodeURIComponent(task)}/actions`;
        const status = await client.sendJson('POST', path, taskStatus, { action });
        if (flags.json) return printJson(context, status);
        context.out(`${status.id} is ${status.phase}: ${status.reason}`);
      });
  }

  group
    .command('signal')
    .description('send a signal to a task: to its own process, or to all')
    .argument('<task>')
    .argument('<signal>', 'SIGHUP, SIGUSR1, …')
    .option('--all', 'to every process of it')
    .action(async (task: string, signal: string, own: { all?: boolean }, command: Command) => {
      const flags = command.optsWithGlobals<MachineFlags>();
      const client = machineClient(program, flags);
      const path = `/api/v1/tasks/${encodeURIComponent(task)}/actions`;
      const body = { action: 'signal', signal: signal.toUpperCase(), to: own.all ? 'all' : 'leader' };
      const status = await client.sendJson('POST', path, taskStatus, body);
      if (flags.json) return printJson(context, status);
      context.out(`${status.id} was sent ${body.signal}`);
    });

  group
    .command('runs')
    .description('the post-mortems of a task, oldest first')
    .argument('<task>')
    .action(async (task: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<MachineFlags>();
      const client = machineClient(program, flags);
      const ends = await client.get(`/api/v1/tasks/${encodeURIComponent(task)}/runs`, z.array(runEnd));
      if (flags.json) return printJson(context, ends);
      if (ends.length === 0) return context.out(`no run of ${task} has ended yet`);
      const rows = ends.map((end) => [
        end.run,
        end.endedAt,
        end.reason,
        Math.round(end.peakMemBytes / MB),
        end.sentence,
      ]);
      context.out(table(['RUN', 'ENDED', 'REASON', 'PEAK MB', 'WHAT HAPPENED'], rows));
    });
}

function rowOf({ id, phase, pid, restarts, usage, limits, reason }: TaskStatus): (string | number)[] {
  const cpu = usage === null ? '-' : usage.cpu.toFixed(2);
  const mem = usage === null ? '-' : String(Math.round(usage.memBytes / MB));
  return [
    id,
    phase,
    pid ?? '-',
    restarts,
    limits.cpu === null ? cpu : `${cpu} of ${limits.cpu}, ${limits.holds.cpu}`,
    limits.memBytes === null ? `${mem} MB` : `${mem} of ${Math.round(limits.memBytes / MB)} MB, ${limits.holds.mem}`,
    reason,
  ];
}
