import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { CerebroError, messageOf } from '../errors.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import type { DaemonFlags } from './daemon.ts';

/** `cerebro backup`, `cerebro restore` and `cerebro store migrate`: docs/backup.md. */
export function backup(program: Command, context: CliContext): void {
  clusterCommand(program.command('backup'))
    .description('write everything that the cluster knows into a file; it holds secrets')
    .argument('<file>', 'is put in place when it is whole, readable by its owner alone')
    .action(async (file: string, flags: ClusterFlags) => {
      const { checkBackup } = await import('../engine/move-records.ts');
      const fresh = `${file}.new`;
      try {
        await receive(fresh, clientFor(flags).stream('/api/v1/backup', context.interrupted));
        // Read as a restore would: an answer that was cut off is no backup.
        const { head, entries } = checkBackup(read(fresh), fresh);
        renameSync(fresh, file);
        const told = { file, takenAt: head.takenAt, clusterId: head.clusterId, entries: entries.length };
        if (flags.json) return printJson(context, told);
        context.out(`${file}: ${entries.length} entries, as of ${head.takenAt}. It holds secrets; keep it as one`);
      } finally {
        rmSync(fresh, { force: true });
      }
    });

  program
    .command('restore')
    .description('fill the store of a cluster sitter that does not run from a backup')
    .argument('<file>')
    .option('--replace', 'also when something is in the store; it is gone then')
    .action(async (file: string, flags: { replace?: boolean }) => {
      const { checkBackup, restoreRecords } = await import('../engine/move-records.ts');
      const found = checkBackup(read(file), file);
      await restoreRecords(found, await placeOf(program), { replace: flags.replace ?? false, now: Date.now() });
      context.out(`${found.entries.length} entries as of ${found.head.takenAt} are in the store`);
    });

  program
    .command('store')
    .description('the store of a cluster sitter that does not run')
    .command('migrate')
    .description('copy everything into the store that another list of plugins names')
    .requiredOption('--to <plugins.json>', 'the list of plugins to go on with')
    .option('--replace', 'also when something is in that store; it is gone then')
    .action(async (flags: { to: string; replace?: boolean }) => {
      const { migrateRecords } = await import('../engine/move-records.ts');
      const options = { replace: flags.replace ?? false, now: Date.now() };
      const moved = await migrateRecords(await placeOf(program), flags.to, options);
      context.out(
        `${moved} entries are in the store of ${flags.to}; start the cluster sitter with --plugins ${flags.to}`,
      );
    });
}

async function placeOf(program: Command): Promise<{ dataDir: string; pluginsFile: string | undefined }> {
  const { readSettings } = await import('../engine/read-settings.ts');
  const flags = program.opts<DaemonFlags>();
  const settings = readSettings(flags.settings, flags.dataDir === undefined ? {} : { data_dir: flags.dataDir });
  return { dataDir: settings.data_dir, pluginsFile: flags.plugins };
}

/** Writes what comes into a file that only its owner may read, down to the disk. */
async function receive(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let handle: number;
  try {
    handle = openSync(file, 'w', 0o600);
  } catch (error) {
    throw new CerebroError('invalid', `the backup cannot be written: ${messageOf(error)}`);
  }
  try {
    chmodSync(file, 0o600); // one that was left over may have been open to others
    for await (const chunk of chunks) for (let at = 0; at < chunk.length; ) at += writeSync(handle, chunk, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CerebroError('invalid', `the backup cannot be read: ${messageOf(error)}`);
  }
}
