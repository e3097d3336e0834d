import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import {
  apiTokenName,
  apiTokenView,
  madeApiToken,
  type NewApiToken,
  tokenScope,
  tokenScopeWords,
} from '../model/api-token.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

interface CreateFlags extends ClusterFlags {
  scope: string;
  days?: string;
}

/** `cerebro token list|create|revoke`. */
export function token(program: Command, context: CliContext): void {
  const group = program.command('token').description('tokens for programs and people: make, list, revoke');

  clusterCommand(group.command('list'))
    .description('the tokens that were made, and when each was last used')
    .action(async (flags: ClusterFlags) => {
      const found = await clientFor(flags).get('/api/v1/tokens', z.array(apiTokenView));
      if (flags.json) return printJson(context, found);
      if (found.length === 0) return context.out('none was made yet; "cerebro token create NAME" makes one');
      const time = (iso: string | null, none: string): string => iso?.slice(0, 16).replace('T', ' ') ?? none;
      context.out(
        table(
          ['TOKEN', 'ID', 'MAY', 'MADE', 'BY', 'LAST USED', 'ENDS'],
          found.map(({ name, id, scope, createdAt, by, lastUsedAt, expiresAt }) => [
            name,
            id,
            scope,
            time(createdAt, ''),
            by,
            time(lastUsedAt, 'never'),
            time(expiresAt, 'when revoked'),
          ]),
        ),
      );
    });

  clusterCommand(group.command('create'))
    .description('make a token and print it, this once')
    .argument('<name>', 'for the list and the timeline: who or what it is for')
    .option(
      '--scope <scope>',
      Object.entries(tokenScopeWords)
        .map((entry) => entry.join(': '))
        .join('; '),
      'operate',
    )
    .option('--days <number>', 'after which it ends (default: when it is revoked)')
    .action(async (name: string, flags: CreateFlags) => {
      const made = await clientFor(flags).sendJson('POST', '/api/v1/tokens', madeApiToken, wanted(name, flags));
      if (flags.json) return printJson(context, made);
      // Alone on standard output, so that a script can take it; the words are for people.
      context.out(made.token);
      context.err(`cerebro: this is token "${made.about.name}", which may ${made.about.scope}; it is not shown again`);
    });

  clusterCommand(group.command('revoke'))
    .description('end a token at once, and the sessions of who signed in with it')
    .argument('<token>', 'its name or id, as "cerebro token list" has it')
    .action(async (which: string, flags: ClusterFlags) => {
      const gone = await clientFor(flags).send('DELETE', `/api/v1/tokens/${encodeURIComponent(which)}`, apiTokenView);
      if (flags.json) printJson(context, gone);
      else context.out(`token "${gone.name}" is revoked`);
    });
}

function wanted(name: string, { scope, days }: CreateFlags): NewApiToken {
  const asked = tokenScope.safeParse(scope);
  if (!asked.success)
    throw new CerebroError('usage', `--scope: "${scope}" is none of ${tokenScope.options.join(', ')}`);
  const named = apiTokenName.safeParse(name);
  if (!named.success)
    throw new CerebroError('usage', `"${name}" is no name for a token: ${named.error.issues[0]?.message}`);
  const number = days === undefined ? null : Number(days);
  if (number !== null && !(Number.isInteger(number) && number >= 1 && number <= 3650))
    throw new CerebroError('usage', `--days: "${days}" is not a number of days from 1 to 3650`);
  return { name: named.data, scope: asked.data, days: number };
}
