import { createHash } from 'node:crypto';
import { CerebroError } from '../../errors.ts';
import {
  BACKUP_VERSION,
  type Backup,
  type BackupEntry,
  backupEnd,
  backupEntry,
  backupHead,
  SCHEMA_VERSION,
} from '../../model/backup.ts';

/**
 * Reads a backup whole and makes sure of it before anything is made of it. Throws `invalid` for what is none, is cut short or was
 * changed, and `unsupported` for one of a newer program; `name` is what the message calls it.
 */
export function readBackup(text: string, name: string): Backup {
  const refuse = (why: string): CerebroError => new CerebroError('invalid', `${name}: ${why}`);
  const first = text.indexOf('\n');
  const head = backupHead.safeParse(jsonOf(text.slice(0, Math.max(0, first))));
  if (!head.success) throw refuse('this is no backup of Cerebro');
  if (head.data.version > BACKUP_VERSION || head.data.schema > SCHEMA_VERSION)
    throw new CerebroError(
      'unsupported',
      `${name}: this backup is of version ${head.data.version}.${head.data.schema}, and this program reads up to ${BACKUP_VERSION}.${SCHEMA_VERSION}; use a newer Cerebro`,
    );
  if (!text.endsWith('\n')) throw refuse('it is cut short');
  const last = text.lastIndexOf('\n', text.length - 2) + 1;
  const end = backupEnd.safeParse(jsonOf(text.slice(last)));
  if (!end.success) throw refuse('it is cut short: its last line is missing');
  const body = text.slice(0, last);
  if (createHash('sha256').update(body).digest('hex') !== end.data.sha256)
    throw refuse('it is damaged: its checksum is another');
  const entries: BackupEntry[] = [];
  for (const [i, line] of body
    .slice(first + 1)
    .split('\n')
    .entries()) {
    if (line === '') continue;
    const entry = backupEntry.safeParse(jsonOf(line));
    if (!entry.success) throw refuse(`line ${i + 2} is no entry`);
    entries.push(entry.data);
  }
  if (entries.length !== end.data.entries)
    throw refuse(`it has ${entries.length} entries, and should have ${end.data.entries}`);
  return { head: head.data, entries };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no schema takes it
  }
}
