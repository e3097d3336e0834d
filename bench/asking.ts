import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { OWN_NICE } from '../core/machine/shim/standing.ts';

/**
 * Asks for a URL every so many milliseconds, by a process of its own (asker.ts); resolves when it has begun. With root that process has as
 * much standing as the daemon: who asks from another machine does not wait for this one's cpu either.
 */
export async function startAsking(
  url: string,
  tokenFile: string,
  everyMs: number,
): Promise<{ stop(): Promise<number[]> }> {
  const script = fileURLToPath(new URL('asker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, tokenFile, String(everyMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  if (child.pid !== undefined) prefer(child.pid);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const closed = once(child, 'close').then(() => {
    if (child.exitCode !== 0) throw new Error(`who asks for ${url} ended with ${child.exitCode ?? child.signalCode}`);
  });
  await Promise.race([once(child.stdout, 'data'), closed]);
  return {
    stop: async () => {
      child.stdin.end();
      await closed;
      return JSON.parse(said.slice(said.indexOf('['))) as number[];
    },
  };
}

function prefer(pid: number): void {
  try {
    setPriority(pid, OWN_NICE);
    writeFileSync(`/proc/${pid}/autogroup`, String(OWN_NICE));
  } catch {
    // Without root it has to wait like everybody.
  }
}
