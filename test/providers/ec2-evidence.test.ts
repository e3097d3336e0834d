import t from 'tap';
import type { Instance } from '../../core/contracts/machine-provider.ts';
import { eventually } from '../suites/eventually.ts';
import { CLUSTER, Ec2UnderTest, orderOf } from './ec2-under-test.ts';

t.test(
  'spot notices, scheduled events and failing checks are told as trouble, and taken back when they are over',
  async (t) => {
    const under = await Ec2UnderTest.open();
    t.teardown(() => under.close());
    const { world } = under.standIn;
    const provider = under.provider({ spot: 'prefer' });
    await provider.start();
    await provider.create(orderOf('m-0', { type: { name: 't3.small:spot', cpu: 2, mem: 1 } }));
    for (const id of ['m-1', 'm-2', 'm-3']) await provider.create(orderOf(id));
    const troubleOf = async (id: string): Promise<Instance['trouble']> =>
      (await provider.describe(CLUSTER)).find(({ machineId }) => machineId === id)?.trouble;
    const of = (id: string) => {
      const [found] = world.ofMachine(id);
      if (!found) throw new Error(`there is no ${id}`);
      return found;
    };
    of('m-0').spotNotice = true;
    of('m-1').impaired = true;
    of('m-2').event = { code: 'instance-retirement', description: 'The instance is running on degraded hardware' };
    of('m-3').event = { code: 'system-reboot', description: '[Completed] done long ago' };
    await eventually(async () => /takes this spot instance back/.test((await troubleOf('m-0')) ?? ''), 'the notice');
    await eventually(
      async () => /status checks fail for the instance/.test((await troubleOf('m-1')) ?? ''),
      'the check',
    );
    t.match(await troubleOf('m-2'), /scheduled instance-retirement for it from 2027-01-01.*degraded hardware/);
    t.notOk(await troubleOf('m-3'), 'what is over is no trouble');
    of('m-0').spotNotice = false;
    of('m-1').impaired = false;
    await eventually(async () => !(await troubleOf('m-0')) && !(await troubleOf('m-1')), 'they are taken back');
  },
);

t.test('where EC2 does not let us see how instances are, they are told of all the same', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  under.standIn.world.denied = new Set(['DescribeInstanceStatus', 'DescribeSpotInstanceRequests']);
  const provider = under.provider();
  await provider.start();
  await provider.create(orderOf('m-1'));
  const [found] = await provider.describe(CLUSTER);
  t.match(found, { machineId: 'm-1', state: 'running' });
  t.notOk(found?.trouble);
});
