import { z } from 'zod';
import type { SshRemote } from '../remotes/ssh-remote.ts';

const SHORT_S = 30;

const sitterFile = z.object({ pid: z.number().int(), bootId: z.string(), url: z.string() });

/** Where the machine sitter of a data folder serves the cluster sitter; null: none runs. */
export async function sitterUrl(
  remote: SshRemote,
  address: string,
  { folder, asRoot }: { folder: string; asRoot: boolean },
): Promise<string | null> {
  const script = [
    `cd -- ${folder} 2>/dev/null && cat sitter.json 2>/dev/null || exit 0`,
    'pid=$(sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\' sitter.json)',
    '[ -n "$pid" ] && [ -e "/proc/$pid" ] && printf "\\n%s" "$(cat /proc/sys/kernel/random/boot_id)"',
    ':',
  ].join('\n');
  const text = await remote.script(script, { name: 'look at the machine sitter', timeout: SHORT_S, asRoot });
  const [json = '', bootId] = text.trim().split('\n');
  const file = sitterFile.safeParse(parsed(json));
  if (!file.success || bootId === undefined || file.data.bootId !== bootId || file.data.url === '') return null;
  const name = address.includes(':') ? `[${address}]` : address;
  // TLS for the cluster sitter, on the port that serves plain HTTP to the host's own people.
  return `https://${name}:${new URL(file.data.url).port}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // none yet, or half of one
  }
}
