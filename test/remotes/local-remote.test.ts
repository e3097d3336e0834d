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
    cleanUp: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

t.test('local remote', async (t) => {
  for (const { name, run } of remoteSuite(make)) await t.test(name, async (t) => run(t));
});
