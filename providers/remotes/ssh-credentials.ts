import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AgentAuthMethod, type PublicKeyAuthMethod } from 'ssh2';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import type { SshTarget } from './ssh-target.ts';

export interface Credential {
  /** What messages call it. */
  name: string;
  method: PublicKeyAuthMethod | AgentAuthMethod;
}

/** What a login can be tried with, in order. Throws `invalid` when nothing of it can be used, and says why of each. */
export function sshCredentials(target: SshTarget): Credential[] {
  const found: Credential[] = [];
  const problems: string[] = [];
  for (const key of target.keys) {
    const path = expandHome(key);
    try {
      const parsed = ssh2.utils.parseKey(readFileSync(path));
      if (parsed instanceof Error)
        problems.push(`${path}: ${/encrypted/i.test(parsed.message) ? ENCRYPTED : parsed.message}`);
      else found.push({ name: path, method: { type: 'publickey', username: target.user, key: parsed } });
    } catch (error) {
      const why = systemCode(error) === 'ENOENT' ? 'there is no such file' : messageOf(error);
      problems.push(`${path}: ${why}`);
    }
  }
  const agent = target.agent === 'env' ? process.env.SSH_AUTH_SOCK : target.agent;
  if (agent !== undefined && agent !== '')
    found.push({
      name: `the agent at ${agent}`,
      method: { type: 'agent', username: target.user, agent: expandHome(agent) },
    });
  else if (target.agent === 'env') problems.push('agent: SSH_AUTH_SOCK is not set');
  if (found.length > 0) return found;
  const why = problems.length > 0 ? problems.join('; ') : 'neither keys nor an agent are named';
  throw new CerebroError(
    'invalid',
    `no key to log in to ${target.pinName} with: ${why}; see "keys" and "agent" in the settings`,
  );
}

const ENCRYPTED =
  'it is encrypted; hand it to an agent and name that ("agent": "env"), or take a key without a passphrase';

export function expandHome(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path;
}
