import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { CerebroError } from '../../errors.ts';

export interface TaskUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
  /** How the shim becomes that user; empty: it is that user already. */
  become: string[];
}

/** The user a task runs as. Throws `invalid` for a user that does not exist or that this daemon may not become. */
export function taskUser(uid: number | string | undefined): TaskUser {
  const self = userInfo();
  if (uid === undefined || uid === self.uid || uid === self.username) {
    return { name: self.username, uid: self.uid, gid: self.gid, home: self.homedir, become: [] };
  }
  const user = lookUp(uid);
  if (!user) throw new CerebroError('invalid', `uid: there is no user ${uid} on this machine`);
  if (user.uid === self.uid) return { ...user, become: [] };
  if (self.uid !== 0) {
    throw new CerebroError(
      'invalid',
      `uid: this daemon runs as ${self.username} and cannot start a task as ${user.name}; run it as root, or leave uid out`,
    );
  }
  return { ...user, become: ['setpriv', '--reuid', String(user.uid), '--regid', String(user.gid), '--init-groups'] };
}

/** The environment of a task, and of the command that asks about its health: the machine's, the user's, who it is, and its own. */
export function taskEnvironment(
  base: Record<string, string>,
  user: TaskUser,
  { job, copy }: { job: string; copy: string },
  own: Record<string, string>,
): Record<string, string> {
  const his = { HOME: user.home, USER: user.name, LOGNAME: user.name };
  return { ...base, ...his, CEREBRO_JOB: job, CEREBRO_COPY: copy, ...own };
}

function lookUp(uid: number | string): Omit<TaskUser, 'become'> | undefined {
  const line = fromPasswd(uid) ?? fromNameService(uid);
  const [name, , id, gid, , home] = line?.split(':') ?? [];
  return name === undefined || id === undefined
    ? undefined
    : { name, uid: Number(id), gid: Number(gid), home: home || '/' };
}

function fromPasswd(uid: number | string): string | undefined {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.split(':')[typeof uid === 'number' ? 2 : 0] === String(uid));
}

/** Users that only LDAP and its like know. */
function fromNameService(uid: number | string): string | undefined {
  try {
    return execFileSync('getent', ['passwd', String(uid)], {
      encoding: 'utf8',
      timeout: 5000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined; // getent's code 2: not found; or there is no getent
  }
}
