import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import { IDENTITY_FILE, type TlsIdentity } from '../../core/model/tls-identity.ts';

/** How the names of folders begin that are not machines yet. */
const DRAFT = '.';
const TRIES = 3;

const instanceFile = z.object({
  clusterId: z.string(),
  machineId: z.string(),
  zone: z.string(),
  intent: z.string(),
  type: z.string(),
  /** What its type offers; null in files of older machines. */
  cpu: z.number().nullable().default(null),
  mem: z.number().nullable().default(null),
  /** `off` is what a power cut leaves: nothing of it is started again. */
  power: z.enum(['on', 'off']),
  reason: z.string(),
});
export type InstanceFile = z.infer<typeof instanceFile>;

export function isDraft(name: string): boolean {
  return name.startsWith(DRAFT);
}

/** Removes drafts of processes that are gone: a crash has left them, and there are keys in them. */
export function dropDrafts(machines: string, lives: (pid: number) => boolean): void {
  for (const name of readdirSync(machines)) {
    const pid = Number(/\.(\d+)$/.exec(name)?.[1]);
    if (isDraft(name) && Number.isInteger(pid) && !lives(pid))
      rmSync(join(machines, name), { recursive: true, force: true });
  }
}

/**
 * Makes a machine's folder, unless it is there. It gets its name when it is whole: so a crash in between leaves nothing that counts,
 * and of several cluster sitters that make the same machine one does. Throws `conflict` when another order has made it.
 */
export function makeMachineFolder(folder: string, order: MachineOrder): InstanceFile {
  const { clusterId, machineId, zone, intent, type } = order;
  const file: InstanceFile = {
    ...{ clusterId, machineId, zone, intent },
    ...{ type: type.name, cpu: type.cpu, mem: type.mem },
    ...{ power: 'on', reason: 'ordered' },
  };
  const draft = join(dirname(folder), `${DRAFT}${basename(folder)}.${process.pid}`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(draft, 'admin.token'), `${order.token}\n`, { mode: 0o600 });
    writeIdentity(draft, order.identity);
    writeInstance(draft, file);
    return putInPlace(draft, folder, file);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function putInPlace(draft: string, folder: string, file: InstanceFile): InstanceFile {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      renameSync(draft, folder);
      return file;
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
    }
    const there = whatIsThere(folder);
    if (there?.intent === file.intent) return there;
    if (there) throw new CerebroError('conflict', `${file.machineId} exists already, by another order`);
    // What is left of one that was being removed.
    rmSync(folder, { recursive: true, force: true });
  }
  throw new CerebroError('unavailable', `${folder} cannot be made: something is put there again and again`);
}

function whatIsThere(folder: string): InstanceFile | undefined {
  try {
    return readInstance(folder);
  } catch (error) {
    const words = `${join(folder, 'instance.json')} cannot be read, and something may run there: ${messageOf(error)}`;
    throw new CerebroError('unavailable', words, { cause: error });
  }
}

/** undefined: there is no machine in that folder. Throws what is wrong with a file that cannot be read. */
export function readInstance(folder: string): InstanceFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, 'instance.json'), 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return instanceFile.parse(JSON.parse(text));
}

export function writeInstance(folder: string, file: InstanceFile): void {
  if (!existsSync(folder)) return; // somebody has removed it: there is nothing to remember then
  const path = join(folder, 'instance.json');
  writeFileSync(`${path}.new`, JSON.stringify(file), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function writeIdentity(folder: string, identity: TlsIdentity): void {
  const path = join(folder, IDENTITY_FILE);
  writeFileSync(`${path}.part`, JSON.stringify(identity), { mode: 0o600 });
  renameSync(`${path}.part`, path);
}
