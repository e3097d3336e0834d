import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CerebroError } from '../../core/errors.ts';
import { eventually } from '../suites/eventually.ts';
import { CLUSTER, Ec2UnderTest, orderOf, ZONE } from './ec2-under-test.ts';

const opened = async (t: Test): Promise<Ec2UnderTest> => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  return under;
};

t.test('a machine is ordered whole: tagged, with its disk, its key and nothing secret', async (t) => {
  const under = await opened(t);
  const provider = under.provider({
    tags: { team: 'web' },
    key_pair: 'ops',
    instance_profile: 'machines',
    volume: { size: 20 },
    user_data: 'echo "it\'s $HOME"',
  });
  await provider.start();
  await provider.create(orderOf('m-1'));
  const [made] = under.standIn.world.instances;
  t.match(made, { token: 'intent-of-m-1', keyName: 'ops', subnet: 'subnet-0a', groups: ['sg-01'], spot: false });
  t.match(made?.tags, {
    'cerebro:cluster': CLUSTER,
    'cerebro:machine': 'm-1',
    'cerebro:zone': ZONE,
    'cerebro:intent': 'intent-of-m-1',
    'cerebro:host-key': /^ssh-ed25519 [A-Za-z0-9+/]+$/,
    team: 'web',
  });
  const { params } = under.standIn.calls.find(({ action }) => action === 'RunInstances') ?? {};
  t.same(params?.get('MetadataOptions'), {
    HttpEndpoint: 'enabled',
    HttpTokens: 'required',
    HttpPutResponseHopLimit: '1',
  });
  t.match(params?.get('BlockDeviceMapping'), [{ Ebs: { VolumeSize: '20', DeleteOnTermination: 'true' } }]);
  t.match(params?.get('TagSpecification'), [{ ResourceType: 'instance' }, { ResourceType: 'volume' }]);
  const text = made?.userData ?? '';
  t.notMatch(text, 'a-token');
  t.match(JSON.parse(text.replace('#cloud-config\n', '')), {
    ssh_keys: {
      ed25519_private: /^-----BEGIN OPENSSH PRIVATE KEY-----/,
      ed25519_public: made?.tags['cerebro:host-key'],
    },
    ssh_authorized_keys: [/^ssh-ed25519 /],
    runcmd: [['/bin/sh', '-c', 'echo "it\'s $HOME"']],
  });
});

t.test(
  'what is sold out, or over the quota, is said in a way that a planner can use; nothing waits for it',
  async (t) => {
    const under = await opened(t);
    const { world } = under.standIn;
    const provider = under.provider();
    await provider.start();
    world.soldOut.add('us-west-2a/t3.small');
    const refusal = async (machineId: string): Promise<CerebroError> => {
      const error = await provider.create(orderOf(machineId)).catch((reason: unknown) => reason);
      if (!(error instanceof CerebroError)) throw new Error('it was not refused');
      return error;
    };
    const soldOut = await refusal('m-1');
    t.equal(soldOut.code, 'no_capacity');
    t.same(soldOut.details, { zone: ZONE, type: 't3.small', why: 'sold_out' });
    world.soldOut.clear();
    world.maxInstances = 0;
    t.match((await refusal('m-1')).details, { why: 'quota' });
    const calls = under.standIn.calls.length;
    await provider.destroy(CLUSTER, 'm-1');
    t.equal(under.standIn.calls.length, calls + 1, 'one look, and no wait: nothing can have been made');
    world.maxInstances = 1;
    await provider.create(orderOf('m-1'));
    t.equal(world.instances.length, 1);
  },
);

t.test('spot is a size of its own, cheaper, beside or instead of the one on demand', async (t) => {
  const under = await opened(t);
  const provider = under.provider({
    spot: 'prefer',
    instance_types: ['t3.small', 'c5.xlarge'],
    spot_max_price: 0.01,
    prices: { 't3.small': 1, 'us-west-2/c5.xlarge': 3, 'c5.xlarge': 2 },
  });
  await provider.start();
  t.same(
    provider.types(ZONE).map(({ name, price }) => [name, price]),
    [
      ['t3.small:spot', 0.4],
      ['t3.small', 1],
      ['c5.xlarge', 3],
    ],
  );
  await provider.create(orderOf('m-1', { type: { name: 't3.small:spot', cpu: 2, mem: 1 } }));
  await provider.create(orderOf('m-2'));
  t.same(
    under.standIn.world.instances.map(({ type, spot }) => [type, spot]),
    [
      ['t3.small', true],
      ['t3.small', false],
    ],
  );
  const only = under.provider({ spot: 'only', instance_types: ['t3.small', 'c5.xlarge'] });
  await only.start();
  t.same(
    only.types(ZONE).map(({ name }) => name),
    ['t3.small:spot'],
  );
});

t.test('an answer that was lost is asked for again, also in other words, and is the same machine', async (t) => {
  const under = await opened(t);
  const { standIn } = under;
  standIn.world.hideMs = 300;
  standIn.mischief = (action) => (action === 'RunInstances' ? 'lose-answer' : null);
  const provider = under.provider({ api: { attempts: 1 } });
  await provider.start();
  await t.rejects(provider.create(orderOf('m-1')), { code: 'unavailable' });
  await provider.stop();
  standIn.mischief = () => null;
  const changed = under.provider({ user_data: 'echo something else' });
  await changed.start();
  const made = await changed.create(orderOf('m-1'));
  t.equal(standIn.world.instances.length, 1);
  t.equal(made.ref, standIn.world.instances[0]?.id);
});

t.test('what is ended before its answer came is ended when it appears', async (t) => {
  const under = await opened(t);
  const { standIn } = under;
  standIn.mischief = (action) => (action === 'RunInstances' ? 'late-act' : null);
  const provider = under.provider({ api: { attempts: 1 } });
  await provider.start();
  await t.rejects(provider.create(orderOf('m-1')), { code: 'unavailable' });
  await provider.destroy(CLUSTER, 'm-1');
  t.equal(standIn.world.instances.length, 1, 'it did appear');
  t.same(standIn.world.living(), []);
});

t.test('an order whose instance has ended is answered so, and never gets a second one', async (t) => {
  const under = await opened(t);
  const { world } = under.standIn;
  const provider = under.provider();
  await provider.start();
  const made = await provider.create(orderOf('m-1'));
  for (const instance of world.instances) world.end(instance, 'Server.SpotInstanceTermination', 'the spot price rose');
  const again = await provider.create(orderOf('m-1'));
  t.match(again, { ref: made.ref, state: 'gone', trouble: 'EC2 has ended it: the spot price rose' });
  t.equal(world.instances.length, 1);
});

t.test('a fresh instance that EC2 does not show yet is pending, also after a restart, and not gone', async (t) => {
  const under = await opened(t);
  const { world } = under.standIn;
  world.hideMs = 60_000;
  const first = under.provider({ api: { settle: 60 } });
  await first.start();
  const made = await first.create(orderOf('m-1'));
  const pending = [{ ref: made.ref, machineId: 'm-1', state: 'pending', address: null }];
  t.match(await first.describe(CLUSTER), pending);
  await first.stop();
  const second = under.provider({ api: { settle: 60 } });
  await second.start();
  t.match(await second.describe(CLUSTER), pending);
  for (const instance of world.instances) instance.shownFrom = 0;
  t.match(await second.describe(CLUSTER), [{ ref: made.ref, state: 'running' }]);
  for (const instance of world.instances) instance.shownFrom = Number.POSITIVE_INFINITY;
  t.match(await second.describe(CLUSTER), [{ ref: made.ref, state: 'running' }], 'it was there a moment ago');
});

t.test('what EC2 has forgotten for long is not told of', async (t) => {
  const under = await opened(t);
  const provider = under.provider({ api: { settle: 0.3 } });
  await provider.start();
  await provider.create(orderOf('m-1'));
  await eventually(async () => (await provider.describe(CLUSTER))[0]?.state === 'running', 'it runs');
  for (const instance of under.standIn.world.instances) instance.forgotten = true;
  await eventually(async () => (await provider.describe(CLUSTER)).length === 0, 'it is forgotten');
});

t.test('lists are read to their end', async (t) => {
  const under = await opened(t);
  const provider = under.provider();
  await provider.start();
  const ids = Array.from({ length: 12 }, (_, i) => `m-${i}`);
  await Promise.all(ids.map((machineId) => provider.create(orderOf(machineId))));
  t.same((await provider.describe(CLUSTER)).map(({ machineId }) => machineId).sort(), ids.sort());
});

t.test('termination protection is respected, and said', async (t) => {
  const under = await opened(t);
  const { world } = under.standIn;
  const provider = under.provider();
  await provider.start();
  await provider.create(orderOf('m-1'));
  for (const instance of world.instances) instance.isProtected = true;
  await t.rejects(provider.destroy(CLUSTER, 'm-1'), { code: 'conflict', message: /termination protection.*lift/ });
  t.equal(world.living().length, 1);
  for (const instance of world.instances) instance.isProtected = false;
  await provider.destroy(CLUSTER, 'm-1');
  t.same(world.living(), []);
});

t.test('a machine that exists by another order is refused', async (t) => {
  const under = await opened(t);
  const provider = under.provider();
  await provider.start();
  await provider.create(orderOf('m-1'));
  await t.rejects(provider.create(orderOf('m-1', { intent: 'another' })), { code: 'conflict' });
  t.equal(under.standIn.world.instances.length, 1);
});

t.test('a region that does not answer hides its machines from nobody; one that never did is an error', async (t) => {
  const under = await opened(t);
  const regions = {
    'us-west-2': { zones: { 'us-west-2a': {} } },
    'eu-west-1': { zones: { 'eu-west-1a': {} } },
  };
  const provider = under.provider({ regions, api: { attempts: 1 } });
  await provider.start();
  await provider.create(orderOf('m-1'));
  await provider.create(orderOf('m-2', { zone: 'aws-eu-west-1a' }));
  t.equal((await provider.describe(CLUSTER)).length, 2);
  under.standIn.world.regions.delete('eu-west-1');
  const told = await provider.describe(CLUSTER);
  t.same(told.map(({ machineId }) => machineId).sort(), ['m-1', 'm-2']);
  t.ok(
    told.every(({ trouble }) => !trouble),
    'silence is no evidence against a machine',
  );
  const fresh = under.provider({ regions, api: { attempts: 1 } });
  await fresh.start();
  t.match(fresh.complaint('aws-eu-west-1a'), /knows no region "eu-west-1"/);
  t.ok(fresh.types(ZONE).length > 0, 'the other region sells all the same');
  await t.rejects(fresh.describe(CLUSTER), /knows no region "eu-west-1"/);
});

t.test('an ended machine is nobody, though EC2 shows it for an hour', async (t) => {
  const under = await opened(t);
  const provider = under.provider();
  await provider.start();
  await provider.create(orderOf('m-1'));
  await provider.describe(CLUSTER);
  await (await provider.remote({ machineId: 'm-1', address: null })).close();
  await provider.destroy(CLUSTER, 'm-1');
  t.match(await provider.describe(CLUSTER), [{ machineId: 'm-1', state: 'gone' }]);
  await t.rejects(provider.remote({ machineId: 'm-1', address: null }), { code: 'not_found' });
});

t.test('an order that cannot be written down is not sent', async (t) => {
  const under = await opened(t);
  const provider = under.provider();
  await provider.start();
  rmSync(join(under.folder, 'ec2'), { recursive: true });
  await t.rejects(provider.create(orderOf('m-1')), /the order of m-1 cannot be written down.*EC2 is not asked/);
  t.same(under.standIn.world.instances, []);
});
