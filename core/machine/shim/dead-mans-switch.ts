import { type ChildProcess, spawn } from 'node:child_process';
import type { ProcessId } from '../../contracts/process-table.ts';

/**
 * What is told last is ended when whoever told it dies. A line is a process group, the run's marker and a cgroup's kill file (`-`:
 * it has none); an empty line: nothing is to be ended any more. Who left the group is found by the marker in his environment.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
while read -r line; do last=$line; done
[ -n "$last" ] || exit 0
read -r group marker kill <<END
$last
END
[ "$kill" = - ] || echo 1 >"$kill"
kill -s KILL -- "-$group"
for environment in /proc/[0-9]*/environ; do
  grep -qzxF "CEREBRO_RUN=$marker" "$environment" || continue
  pid=\${environment#/proc/}
  kill -s KILL "\${pid%/environ}"
done
`;

export interface HeldRun {
  leader: ProcessId;
  marker: string;
  /** The cgroup.kill of its group, if it has one. */
  killFile: string | null;
}

/** Ends a task when this process dies without having done so itself, as of kill -9: for `cerebro task`, whose task is not to outlive it. */
export class DeadMansSwitch {
  readonly #shell: ChildProcess;

  constructor() {
    // In a session of its own, or a signal to our group would end it with us.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'cerebro-switch'], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.once('error', () => undefined); // without a shell nothing can be started either; that is told elsewhere
    this.#shell.stdin?.on('error', () => undefined);
    this.#shell.unref();
  }

  hold({ leader, marker, killFile }: HeldRun): void {
    this.#shell.stdin?.write(`${leader.pid} ${marker} ${killFile ?? '-'}\n`);
  }

  /** Nothing runs any more. */
  release(): void {
    this.#shell.stdin?.write('\n');
  }

  stop(): void {
    this.#shell.stdin?.end('\n');
  }
}
