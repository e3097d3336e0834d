import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

const done = z.object({ done: z.literal(true) });

/** What can be asked of a machine. */
export function machineCommands(program: Command, context: CliContext): void {
  const tell = (flags: ClusterFlags, answer: unknown, text: string): void =>
    flags.json ? printJson(context, answer) : context.out(text);
  const pathOf = (machine: string, rest: string): string => `/api/v1/machines/${encodeURIComponent(machine)}/${rest}`;
  const command = (name: string, description: string): Command =>
    clusterCommand(program.command(name)).description(description).argument('<machine>');

  command('cordon', 'give a machine no more copies; what it has runs on')
    .option('--off', 'let it have copies again')
    .action(async (machine: string, flags: ClusterFlags & { off?: boolean }) => {
      const verb = flags.off ? 'uncordon' : 'cordon';
      const answer = await clientFor(flags).sendJson('POST', pathOf(machine, verb), done, {});
      tell(flags, answer, `${machine} ${flags.off ? 'may get copies again' : 'gets no more copies'}`);
    });

  command('drain', 'move everything away from a machine, then end it')
    .option('--deadline <seconds>', 'stop its copies then, although none elsewhere is ready (0: never)')
    .option('--cancel', 'let a machine that is being drained be')
    .action(async (machine: string, flags: ClusterFlags & { deadline?: string; cancel?: boolean }) => {
      const client = clientFor(flags);
      if (flags.cancel) {
        const answer = await client.sendJson('POST', pathOf(machine, 'undrain'), done, {});
        tell(flags, answer, `${machine} is not drained any more`);
        return;
      }
      const deadline = flags.deadline === undefined ? undefined : Number(flags.deadline);
      if (flags.deadline?.trim() === '' || (deadline !== undefined && !(deadline >= 0)))
        throw new CerebroError('usage', `"${flags.deadline}" is no deadline: seconds, or 0 for none`);
      const answer = await client.sendJson('POST', pathOf(machine, 'drain'), done, { deadline });
      tell(flags, answer, `${machine} is being drained: its copies move, then it is ended`);
    });

  command('replace', 'order a machine like this one; when it is ready, this one is drained').action(
    async (machine: string, flags: ClusterFlags) => {
      const answer = await clientFor(flags).sendJson(
        'POST',
        pathOf(machine, 'replace'),
        z.object({ machine: z.string() }),
        {},
      );
      tell(flags, answer, `${answer.machine} is ordered; when it is ready, ${machine} is drained and ended`);
    },
  );
}
