import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { skipUnless } from './needs.ts';

/** Users of this host for one test file, removed by whoever made them. Only root can make some. */
export class TestUsers {
  readonly #made: string[] = [];

  /** True, and said, where they cannot be made. */
  static skipWithout(t: Test): boolean {
    if (process.getuid?.() !== 0) {
      t.comment('skipped: only root can make users');
      return true;
    }
    const there = existsSync('/usr/sbin/useradd') && existsSync('/usr/bin/sudo');
    return skipUnless(t, there, 'there is no useradd or no sudo: apt-get install passwd sudo');
  }

  /** A user with `home`, who can log in by key alone; `sudo`: who may do everything as root without a password. */
  add(role: string, home: string, sudo: boolean, shell = '/bin/sh'): string {
    const name = `cerebro-${role}-${process.pid}`;
    // A locked password (`!`) would keep sshd from letting anybody in; `*` is one that nothing matches.
    execFileSync('/usr/sbin/useradd', [
      '--no-create-home',
      '--home-dir',
      home,
      '--shell',
      shell,
      '--password',
      '*',
      name,
    ]);
    this.#made.push(name);
    if (sudo) writeFileSync(sudoersOf(name), `${name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
    execFileSync('chown', ['-R', name, home]);
    return name;
  }

  remove(): void {
    for (const name of this.#made.splice(0)) {
      rmSync(sudoersOf(name), { force: true });
      execFileSync('/usr/sbin/userdel', ['--force', name], { stdio: 'ignore' });
    }
  }
}

function sudoersOf(name: string): string {
  return `/etc/sudoers.d/${name}`;
}
