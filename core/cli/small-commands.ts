import { type Command, Option } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

const done = z.object({ done: z.literal(true) });
const restarted = z.object({ restarted: z.array(z.string()) });
const sentence = z.object({ sentence: z.string() });

/** Commands that are one call each. */
export function smallCommands(program: Command, context: CliContext): void {
  const tell = (flags: ClusterFlags, answer: unknown, text: string): void =>
    flags.json ? printJson(context, answer) : context.out(text);

  clusterCommand(program.command('restart'))
    .description('restart a copy, or all copies of a job')
    .argument('<what>', 'a copy (it has a dot and a number at its end) or a job')
    .action(async (what: string, flags: ClusterFlags) => {
      const kind = /\.\d+$/.test(what) ? 'copies' : 'jobs';
      const answer = await clientFor(flags).sendJson(
        'POST',
        `/api/v1/${kind}/${encodeURIComponent(what)}/restart`,
        restarted,
        {},
      );
      tell(
        flags,
        answer,
        answer.restarted.length === 0
          ? 'there is no copy to restart'
          : `being restarted: ${answer.restarted.join(', ')}`,
      );
    });

  clusterCommand(program.command('updateidlelimit'))
    .description('how many idle machines a zone keeps; -1 ends none')
    .argument('<limit>', 'a number, or -1')
    .option('--zone <zone>', 'only for this zone')
    .action(async (limit: string, flags: ClusterFlags & { zone?: string }) => {
      const count = Number(limit);
      if (!/^(-1|\d+)$/.test(limit))
        throw new CerebroError('usage', `"${limit}" is no limit: a number from 0 on, or -1 for "end none"`);
      const answer = await clientFor(flags).sendJson('PUT', '/api/v1/settings/idle-limit', done, {
        limit: count,
        zone: flags.zone ?? null,
      });
      tell(
        flags,
        answer,
        count < 0
          ? 'idle machines are no longer ended'
          : `${flags.zone ?? 'each zone'} keeps at most ${count} idle machines`,
      );
    });

  clusterCommand(program.command('updateloglevel'))
    .description("how much the cluster sitter's own log says, until its next start")
    .argument('<level>', 'trace, debug, info, warn or error')
    .action(async (level: string, flags: ClusterFlags) => {
      const answer = await clientFor(flags).sendJson('PUT', '/api/v1/settings/log-level', done, { level });
      tell(flags, answer, `the log level is ${level}`);
    });

  const local = program.command('local').description('what only local machines can do');
  clusterCommand(local.command('crash'))
    .description('end a local machine as a power cut would: its sitter and its tasks, at once')
    .argument('<machine>')
    .action(async (machine: string, flags: ClusterFlags) => {
      const answer = await clientFor(flags).sendJson(
        'POST',
        `/api/v1/machines/${encodeURIComponent(machine)}/provider/crash`,
        sentence,
        {},
      );
      tell(flags, answer, answer.sentence);
    });

  program.addOption(new Option('--port-fallback', 'take any free port when the wanted one is taken').hideHelp());
}
