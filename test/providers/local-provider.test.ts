import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { LocalProvider } from '../../providers/local/local-provider.ts';
import { config } from '../../providers/local/schema.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { machineProviderSuite, type ProviderUnderTest } from '../suites/index.ts';

/** The built program, as the cluster sitter would start it; without the loaders that tap gives to every Node. */
const selfCommand = [
  '/usr/bin/env',
  '-u',
  'NODE_OPTIONS',
  process.execPath,
  join(packageRoot, 'dist', 'core', 'main.js'),
];

async function make(): Promise<ProviderUnderTest> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cerebro-local-'));
  const again = (): LocalProvider =>
    new LocalProvider(
      { clock: new SystemClock(), logger: silentLogger, processes: new ProcTable(), dataDir, selfCommand },
      config.parse({}),
    );
  const provider = again();
  return {
    provider,
    zone: 'local-a',
    destroyBehindItsBack: async (machineId) => {
      await provider.actions.crash?.run(machineId);
    },
    again,
    cleanUp: async () => {
      const sweeper = again();
      await sweeper.start();
      for (const { clusterId, machineId } of await sweeper.describe('cluster-of-the-suite'))
        await sweeper.destroy(clusterId, machineId);
      await sweeper.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

t.test('provider-local', async (t) => {
  for (const { name, run } of machineProviderSuite(make)) await t.test(name, async (t) => run(t));
});
