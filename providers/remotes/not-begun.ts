import { CerebroError } from '../../core/errors.ts';
import { lastWords } from './command-output.ts';
import type { SshCommand, SshResult } from './ssh-command.ts';
import { where } from './ssh-connection.ts';
import type { SshTarget } from './ssh-target.ts';

/** Why a command never came to run, though the login was good: sudo refused it, or the login shell does something else. */
export function notBegun(command: SshCommand, result: SshResult, target: SshTarget): CerebroError {
  const { user } = target;
  const said = lastWords(result);
  if (!command.asRoot || user === 'root')
    return new CerebroError(
      'invalid',
      `${command.name}: the login of "${user}" on ${where(target)} runs no commands: ${said}`,
    );
  const advice =
    result.code === 127
      ? 'install sudo there, or log in as root'
      : `let it use sudo without a password ("${user} ALL=(ALL) NOPASSWD: ALL" in /etc/sudoers.d), or log in as root`;
  return new CerebroError(
    'invalid',
    `${command.name}: the user "${user}" on ${where(target)} cannot become root (${said}); ${advice}`,
  );
}
