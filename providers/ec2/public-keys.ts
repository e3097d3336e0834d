import { readFileSync } from 'node:fs';
import ssh2 from 'ssh2';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { expandHome } from '../remotes/ssh-credentials.ts';

/** The public halves of private keys, as they stand in authorized_keys. Throws `invalid` for a file that is no key, and never says what is in it. */
export function publicKeysOf(paths: readonly string[]): string[] {
  return paths.map((path) => {
    let text: Buffer;
    try {
      text = readFileSync(expandHome(path));
    } catch (error) {
      throw new CerebroError('invalid', `ssh.keys: ${path} cannot be read: ${messageOf(error)}`);
    }
    const parsed = ssh2.utils.parseKey(text);
    const key = Array.isArray(parsed) ? parsed[0] : parsed;
    if (!key || key instanceof Error)
      throw new CerebroError(
        'invalid',
        `ssh.keys: ${path} is no private key without a passphrase (${key?.message ?? 'empty'})`,
      );
    return `${key.type} ${key.getPublicSSH().toString('base64')}`;
  });
}
