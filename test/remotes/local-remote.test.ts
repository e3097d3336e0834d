import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { LocalRemote } from '../../providers/local/local-remote.ts';
import { type RemoteUnderTest, remoteSuite } from '../suites/remote-suite.ts';

async function make(): Promise<RemoteUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-local-remote-'));
  const again = async (): Promise<LocalRemote> => new LocalRemote(folder, {});
  return {
    remote: await again(),
    again,
    folder,
    cleanUp: async () => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }),
  };
}

t.test('local remote', async (t) => {
  for (const { name, run } of remoteSuite(make)) await t.test(name, async (t) => run(t));
});

/** Starts something in a session of its own that holds the command's output open for longer than any test lives. */
const LEAVES_A_HOLDER = 'setsid sleep 300 & echo $!;';

t.test('what a command leaves running holds up neither its end nor its timeout', async (t) => {
  const { remote, cleanUp } = await make();
  const holders: number[] = [];
  t.teardown(async () => {
    for (const pid of holders) process.kill(pid, 'SIGKILL');
    await cleanUp();
  });
  const note = (_stream: string, line: string): void => void holders.push(Number(line));

  const ended = await remote.run(['/bin/sh', '-c', `${LEAVES_A_HOLDER} exit 3`], {
    allowFailure: true,
    timeout: 60,
    onLine: note,
  });
  t.equal(ended.code, 3);
  t.equal(ended.stdout, `${holders[0]}\n`, 'what it said before is there');

  const late = remote.run(['/bin/sh', '-c', `${LEAVES_A_HOLDER} sleep 300`], { timeout: 2, onLine: note });
  await t.rejects(late, { code: 'timeout', message: '/bin/sh did not end within 2 s and was killed' });
  t.equal(holders.length, 2);
});

t.test('a closed remote runs nothing any more', async (t) => {
  const { remote, cleanUp } = await make();
  t.teardown(cleanUp);
  await remote.close();
  await t.rejects(remote.run(['true']), {
    code: 'unavailable',
    message: 'true was not started: the remote was closed before',
  });
});
