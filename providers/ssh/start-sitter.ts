import { z } from 'zod';
import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import { IDENTITY_FILE, type TlsIdentity } from '../../core/model/tls-identity.ts';
import { shellQuote, shellWords } from '../remotes/shell-quote.ts';
import type { SshRemote } from '../remotes/ssh-remote.ts';

const SHORT_S = 30;

const sitterFile = z.object({ pid: z.number().int(), bootId: z.string(), url: z.string() });

export interface SitterStart {
  /** Program and first arguments. */
  command: readonly string[];
  host: string;
  port: number;
}

/** Puts what a machine sitter must know into its data folder, `data` in the remote's. Done again, it changes nothing. */
export async function prepareSitter(
  remote: SshRemote,
  { token, identity }: Pick<MachineOrder, 'token' | 'identity'>,
): Promise<void> {
  await remote.script('mkdir -p -- data && chmod 700 data', { name: 'prepare the data folder', timeout: SHORT_S });
  await remote.write(`${token}\n`, 'data/admin.token', { mode: 0o600 });
  await writeIdentity(remote, identity);
}

/** A sitter that runs takes the file up by itself. */
export async function writeIdentity(remote: SshRemote, identity: TlsIdentity): Promise<void> {
  await remote.write(JSON.stringify(identity), `data/${IDENTITY_FILE}`, { mode: 0o600 });
}

/** Starts a machine sitter that outlives the connection, unless one runs. A second one would only find the folder taken. */
export async function startSitter(
  remote: SshRemote,
  start: SitterStart,
  marker: Record<string, string>,
): Promise<void> {
  const arguments_ = [
    '--mode',
    'machine',
    '--data-dir',
    '.',
    '--host',
    start.host,
    '--port',
    String(start.port),
    '--port-fallback',
  ];
  const exports = Object.entries(marker).map(([name, value]) => `export ${name}=${shellQuote(value)}`);
  const script = [
    ...exports,
    'cd data',
    `command -v ${shellQuote(start.command[0] ?? '')} >/dev/null || { echo 'there is no such program: '${shellQuote(start.command[0] ?? '')} >&2; exit 1; }`,
    `setsid ${shellWords([...start.command, ...arguments_])} </dev/null >>sitter.log 2>&1 &`,
  ].join('\n');
  await remote.script(script, { name: 'start the machine sitter', timeout: SHORT_S });
}

/** Where the machine sitter listens; null: none runs. */
export async function sitterUrl(remote: SshRemote, address: string): Promise<string | null> {
  const script = [
    'cat data/sitter.json 2>/dev/null || exit 0',
    'pid=$(sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\' data/sitter.json)',
    '[ -n "$pid" ] && [ -e "/proc/$pid" ] && printf "\\n%s" "$(cat /proc/sys/kernel/random/boot_id)"',
    ':',
  ].join('\n');
  const text = await remote.script(script, { name: 'look at the machine sitter', timeout: SHORT_S });
  const [json = '', bootId] = text.trim().split('\n');
  const file = sitterFile.safeParse(parsed(json));
  if (!file.success || bootId === undefined || file.data.bootId !== bootId || file.data.url === '') return null;
  // TLS for the cluster sitter, on the port that serves plain HTTP to the host's own people.
  return `https://${address}:${new URL(file.data.url).port}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // none yet, or half of one
  }
}
