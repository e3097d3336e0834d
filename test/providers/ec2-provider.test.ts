import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { machineProviderSuite, type ProviderUnderTest } from '../suites/index.ts';
import { Ec2UnderTest, ZONE } from './ec2-under-test.ts';

async function make(): Promise<ProviderUnderTest> {
  const under = await Ec2UnderTest.open();
  under.standIn.world.bootMs = 100;
  under.standIn.world.hideMs = 60;
  under.standIn.world.endMs = 60;
  const again = () => under.provider({ sitter: { as_root: false, folder: 'cerebro' } });
  return {
    provider: again(),
    zone: ZONE,
    destroyBehindItsBack: async (machineId) => {
      for (const instance of under.standIn.world.ofMachine(machineId))
        under.standIn.world.end(instance, 'Server.InternalError', 'Server.InternalError: its host has failed');
    },
    installSitter: (machineId) => {
      for (const { id } of under.standIn.world.ofMachine(machineId))
        mkdirSync(join(under.folder, `home-${id}`, 'cerebro', 'data'), { recursive: true });
    },
    again,
    cleanUp: () => under.close(),
  };
}

t.test('provider-ec2', async (t) => {
  for (const { name, run } of machineProviderSuite(make)) await t.test(name, async (t) => run(t));
});
