import { join } from 'node:path';
import t from 'tap';
import type { z } from 'zod';
import { CerebroError } from '../../core/errors.ts';
import { config } from '../../providers/ec2/schema.ts';
import type { Ec2World } from '../fakes/ec2/ec2-world.ts';
import { CLUSTER, Ec2UnderTest, orderOf, ZONE } from './ec2-under-test.ts';

type Input = Partial<z.input<typeof config>>;

interface Mistake {
  name: string;
  settings?: Input;
  world?: (world: Ec2World) => void;
  code: CerebroError['code'];
  says: RegExp;
}

const MISTAKES: Mistake[] = [
  {
    name: 'an access key that nobody has',
    settings: { credentials: { access_key_id: 'AKIDNOBODY', secret_access_key: 'hunter2-hunter2' } },
    code: 'invalid',
    says: /^EC2 in us-west-2 refuses our credentials \(AuthFailure\): check the access key/,
  },
  {
    name: 'a wrong secret',
    settings: { credentials: { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'hunter2-hunter2' } },
    code: 'invalid',
    says: /refuses our credentials \(SignatureDoesNotMatch\)/,
  },
  {
    name: 'a region that does not exist',
    world: (world) => world.regions.delete('us-west-2'),
    code: 'invalid',
    says: /^EC2 knows no region "us-west-2"/,
  },
  {
    name: 'an image that does not exist',
    settings: { image: { x86_64: 'ami-0dead' } },
    code: 'invalid',
    says: /^image: EC2 in us-west-2 refuses .*ami-0dead.*; name an image of us-west-2$/,
  },
  {
    name: 'an image name that nothing matches',
    settings: { image: { x86_64: { name: 'debian-99-*', owner: '136693071363' } } },
    code: 'invalid',
    says: /^image.x86_64: there is no image "debian-99-\*" of 136693071363 in us-west-2/,
  },
  {
    name: 'an image for another architecture',
    settings: { image: { x86_64: 'ami-0b1' } },
    code: 'invalid',
    says: /^image.x86_64: ami-0b1 in us-west-2 is made for arm64/,
  },
  {
    name: 'a key pair that is missing',
    settings: { key_pair: 'nobodys' },
    code: 'invalid',
    says: /^key_pair: .*'nobodys' does not exist.*name a key pair of us-west-2, or none/,
  },
  {
    name: 'no default VPC',
    world: (world) => {
      world.subnets = [];
    },
    code: 'invalid',
    says: /^subnet: us-west-2a has no default VPC.*name a subnet for aws-us-west-2a/,
  },
  {
    name: 'a subnet that does not exist',
    settings: { subnet: 'subnet-0dead' },
    code: 'invalid',
    says: /^subnet: .*subnet-0dead.*name a subnet of the zone/,
  },
  {
    name: 'a security group that does not exist',
    settings: { security_groups: ['sg-0dead'] },
    code: 'invalid',
    says: /^security_groups: .*sg-0dead/,
  },
  {
    name: 'no right to launch',
    world: (world) => world.denied.add('RunInstances'),
    code: 'forbidden',
    says: /^ec2:RunInstances is not allowed in us-west-2 .*cerebro doctor --provider ec2/,
  },
  {
    name: 'an SSH key that cannot be read',
    settings: { ssh: { keys: ['/nowhere/id_rsa'] } },
    code: 'invalid',
    says: /^ssh.keys: \/nowhere\/id_rsa cannot be read/,
  },
  {
    name: 'a size that the zone does not sell',
    settings: { instance_types: ['m6i.large'] },
    code: 'no_capacity',
    says: /^t3.small is not on sale in aws-us-west-2a/,
  },
  {
    name: 'nobody at the endpoint',
    settings: { endpoint: 'http://127.0.0.1:9' },
    code: 'unavailable',
    says: /^EC2 in us-west-2 cannot be reached for ec2:DescribeInstances \(ECONNREFUSED\)/,
  },
];

for (const { name, settings, world, code, says } of MISTAKES) {
  t.test(`${name} is a clear sentence`, async (t) => {
    const under = await Ec2UnderTest.open();
    t.teardown(() => under.close());
    world?.(under.standIn.world);
    const provider = under.provider({ ...settings, api: { attempts: 1 } });
    await provider.start();
    const error = await provider.create(orderOf('m-1')).catch((reason: unknown) => reason);
    if (!(error instanceof CerebroError)) throw new Error('it was not refused');
    t.equal(error.code, code);
    t.match(error.message, says);
    t.notMatch(error.message, /hunter2|a-secret|a-token|PRIVATE/);
    t.same(under.standIn.world.instances, []);
    await provider.destroy(CLUSTER, 'm-1').catch(() => undefined);
  });
}

t.test('types that are unknown, or not sold in a zone, are said and left out', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  const provider = under.provider({ instance_types: ['t3.small', 'm99.huge', 'c5.xlarge'] });
  await provider.start();
  t.same(
    provider.types(ZONE).map(({ name }) => name),
    ['t3.small', 'c5.xlarge'],
  );
  t.match(provider.complaint(ZONE), /us-west-2 has no instance type "m99.huge"/);
  t.match(provider.complaint('aws-us-west-2b'), /c5.xlarge is not sold in us-west-2b/);
});

t.test('a zone of another region is refused at once', async (t) => {
  const under = await Ec2UnderTest.open();
  t.teardown(() => under.close());
  t.throws(() => under.provider({ regions: { 'us-west-2': { zones: { 'eu-west-1a': {} } } } }), {
    code: 'invalid',
    message: /regions.us-west-2.zones.eu-west-1a/,
  });
});

t.test('wrong settings are refused by name', async (t) => {
  const regions = { 'us-west-2': { zones: { 'us-west-2a': {} } } };
  const wrong: [object, RegExp][] = [
    [{ regions: {}, instance_type: ['t3.small'] }, /instance_type/],
    [{ regions, image: { x86_64: 'debian' } }, /image/],
    [{ regions, tags: { 'cerebro:cluster': 'mine' } }, /not for tags of your own/],
    [{ regions: { 'us-west-2': { zones: {} } } }, /name one zone/],
    [{ regions, subnet: 'vpc-1' }, /subnet-/],
    [{ regions, spot: 'maybe' }, /spot/],
  ];
  for (const [settings, says] of wrong) t.match(config.safeParse(settings).error?.message, says);
});

t.test('no credentials at all are a clear sentence, and nothing is waited for', async (t) => {
  const under = await Ec2UnderTest.open();
  const before = { ...process.env };
  t.teardown(async () => {
    process.env = before;
    await under.close();
  });
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  // The chain asks files, and then the instance's metadata service, which is not ours to ask here.
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: join(under.folder, 'none'),
    AWS_SHARED_CREDENTIALS_FILE: join(under.folder, 'none'),
  });
  const provider = under.provider({ credentials: undefined, api: { attempts: 1 } });
  await provider.start();
  await t.rejects(provider.create(orderOf('m-1')), {
    code: 'invalid',
    message: /^no credentials for EC2 were found: set AWS_PROFILE/,
  });
  t.match(provider.complaint(ZONE), /^no credentials for EC2 were found/);
});
