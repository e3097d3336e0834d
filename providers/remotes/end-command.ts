import { RunningCommand } from './ssh-command.ts';
import type { SshConnection } from './ssh-connection.ts';

const KILL_MS = 5000;

/** Kills what a command left running, by its process group, and lets go of it. What cannot be reached is left. */
export async function endCommand(
  connection: SshConnection,
  starting: Promise<RunningCommand>,
  asRoot: boolean,
): Promise<void> {
  let deadline: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    deadline = setTimeout(() => resolve(undefined), KILL_MS);
  });
  const end = async (): Promise<void> => {
    const running = await starting;
    running.done.catch(() => undefined); // it is being ended: how is no news
    if (running.pid !== null && connection.alive) {
      // Without `--`: dash takes that for a pid.
      const script = `p=${running.pid}; g=$(sed 's/.*) //' /proc/$p/stat 2>/dev/null | cut -d ' ' -f 3); kill -KILL -\${g:-$p} 2>/dev/null`;
      const killer = await RunningCommand.start(connection, { script, asRoot, name: 'kill' });
      await killer.done;
    }
  };
  try {
    await Promise.race([end(), late]);
  } catch {
    // The connection is gone, and with it the way to the command: its output is closed, which ends most.
  } finally {
    clearTimeout(deadline);
    starting.then(
      (running) => running.drop(),
      () => undefined, // it never began
    );
  }
}
