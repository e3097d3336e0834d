import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError, messageOf } from '../errors.ts';
import { secretName, secretView } from '../model/secret.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

/** No secret is longer; whatever is piped in has an end for us. */
const MAX_BYTES = 1024 * 1024;

/** `cerebro secret set|list|remove`. A value is never an argument: those are on every process list. */
export function secret(program: Command, context: CliContext): void {
  const group = program.command('secret').description('texts that copies are given in their environment');
  const tell = (flags: ClusterFlags, answer: unknown, text: string): void =>
    flags.json ? printJson(context, answer) : context.out(text);

  clusterCommand(group.command('set'))
    .description('set a secret, from standard input or a file; one line break at its end is left off')
    .argument('<name>')
    .option('--file <path>', 'the file that holds it')
    .action(async (name: string, flags: ClusterFlags & { file?: string }) => {
      const path = pathOf(name); // before anybody types a secret in vain
      const value = (flags.file === undefined ? await standardInput() : await textOf(flags.file)).replace(/\r?\n$/, '');
      const schema = z.object({ version: z.number(), updated: z.array(z.string()) });
      const answer = await clientFor(flags).sendJson('PUT', path, schema, { value });
      const jobs = answer.updated.length === 0 ? '' : `; ${answer.updated.join(', ')} are updated with it`;
      tell(flags, answer, `${name} is set (value ${answer.version})${jobs}`);
    });
  clusterCommand(group.command('list'))
    .description('the names of all secrets, and the jobs that are given them')
    .action(async (flags: ClusterFlags) => {
      const views = await clientFor(flags).get('/api/v1/secrets', z.array(secretView));
      const rows = views.map(({ name, version, setAt, by, jobs }) => [
        name,
        String(version),
        setAt,
        by,
        jobs.join(', ') || '-',
      ]);
      const text = rows.length === 0 ? 'no secrets' : table(['SECRET', 'VALUE', 'SET AT', 'BY', 'JOBS'], rows);
      tell(flags, views, text);
    });
  clusterCommand(group.command('remove'))
    .description('remove a secret that no job is given')
    .argument('<name>')
    .action(async (name: string, flags: ClusterFlags) => {
      const answer = await clientFor(flags).send('DELETE', pathOf(name), z.object({ done: z.literal(true) }));
      tell(flags, answer, `${name} is removed`);
    });
}

/** Where a secret is found over the API. A name that none can have is refused here, in words for people. */
function pathOf(name: string): string {
  const checked = secretName.safeParse(name);
  if (!checked.success)
    throw new CerebroError('usage', `"${name}" cannot be the name of a secret: ${checked.error.issues[0]?.message}`);
  return `/api/v1/secrets/${encodeURIComponent(name)}`;
}

async function standardInput(): Promise<string> {
  // What is typed would stand on the screen.
  if (process.stdin.isTTY)
    throw new CerebroError('usage', 'pipe the secret into standard input, or name the file that holds it with --file');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new CerebroError('usage', `a secret has less than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CerebroError('usage', `the file ${path} cannot be read: ${messageOf(error)}`);
  }
}
