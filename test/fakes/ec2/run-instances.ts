import { z } from 'zod';
import { Ec2Fault } from './ec2-fault.ts';
import type { Ec2World, FakeInstance } from './ec2-world.ts';
import { instanceXml } from './instance-xml.ts';
import { count, type QueryTree, readParams, yes } from './query-params.ts';
import type { XmlValue } from './xml.ts';

const tag = z.strictObject({ Key: z.string().min(1).max(128), Value: z.string().max(256) });

/** Everything that this stand-in knows of RunInstances; what it does not know is refused, and would have to be thought about first. */
const params = z.strictObject({
  DryRun: yes.optional(),
  ClientToken: z
    .string()
    .max(64)
    .regex(/^[\x20-\x7e]+$/)
    .optional(),
  ImageId: z.string().regex(/^ami-/),
  InstanceType: z.string(),
  MinCount: z.literal('1'),
  MaxCount: z.literal('1'),
  KeyName: z.string().optional(),
  UserData: z.base64().max(25_600).optional(),
  Placement: z.strictObject({ AvailabilityZone: z.string() }),
  NetworkInterface: z
    .array(
      z.strictObject({
        DeviceIndex: z.literal('0'),
        SubnetId: z.string(),
        SecurityGroupId: z.array(z.string()).optional(),
        AssociatePublicIpAddress: yes.optional(),
        DeleteOnTermination: yes.optional(),
      }),
    )
    .length(1),
  BlockDeviceMapping: z
    .array(
      z.strictObject({
        DeviceName: z.string(),
        Ebs: z.strictObject({
          VolumeSize: count,
          VolumeType: z.enum(['gp2', 'gp3', 'io1', 'io2', 'standard']),
          Encrypted: yes.optional(),
          DeleteOnTermination: yes,
        }),
      }),
    )
    .optional(),
  IamInstanceProfile: z.strictObject({ Name: z.string() }).optional(),
  MetadataOptions: z
    .strictObject({
      HttpEndpoint: z.enum(['enabled', 'disabled']),
      HttpTokens: z.enum(['required', 'optional']),
      HttpPutResponseHopLimit: count,
    })
    .optional(),
  InstanceInitiatedShutdownBehavior: z.enum(['stop', 'terminate']).optional(),
  InstanceMarketOptions: z
    .strictObject({
      MarketType: z.literal('spot'),
      SpotOptions: z.strictObject({
        SpotInstanceType: z.literal('one-time'),
        InstanceInterruptionBehavior: z.literal('terminate'),
        MaxPrice: z
          .string()
          .regex(/^\d+(\.\d+)?$/)
          .optional(),
      }),
    })
    .optional(),
  TagSpecification: z
    .array(z.strictObject({ ResourceType: z.enum(['instance', 'volume']), Tag: z.array(tag).min(1).max(50) }))
    .optional(),
});
type Params = z.infer<typeof params>;

export function runInstances(
  world: Ec2World,
  region: string,
  tree: ReadonlyMap<string, QueryTree>,
): { [name: string]: XmlValue } {
  const asked = readParams(params, tree);
  check(world, region, asked);
  if (asked.DryRun) throw new Ec2Fault('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
  const key = `${region} ${asked.ClientToken}`;
  const words = JSON.stringify([...tree].sort());
  const before = asked.ClientToken === undefined ? undefined : world.tokens.get(key);
  if (before && before.asked !== words)
    throw new Ec2Fault(
      'IdempotentParameterMismatch',
      'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).',
    );
  let made = before && world.instances.find(({ id }) => id === before.id);
  if (!made) {
    sell(world, asked);
    made = make(world, region, asked);
    if (asked.ClientToken !== undefined) world.tokens.set(key, { asked: words, id: made.id });
  }
  return { reservationId: `r-${made.id.slice(2)}`, ownerId: '123456789012', instancesSet: [instanceXml(world, made)] };
}

function check(world: Ec2World, region: string, asked: Params): void {
  const { AvailabilityZone } = asked.Placement;
  if (world.regionOf(AvailabilityZone) !== region)
    throw new Ec2Fault('InvalidParameterValue', `Invalid availability zone: [${AvailabilityZone}]`);
  const type = world.types.get(asked.InstanceType);
  if (!type) throw new Ec2Fault('InvalidParameterValue', `Invalid value '${asked.InstanceType}' for InstanceType.`);
  const image = world.images.find(({ id }) => id === asked.ImageId);
  if (!image) throw new Ec2Fault('InvalidAMIID.NotFound', `The image id '[${asked.ImageId}]' does not exist`);
  if (image.architecture !== type.architecture)
    throw new Ec2Fault(
      'InvalidParameterValue',
      `The architecture '${type.architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI.`,
    );
  if (asked.KeyName !== undefined && !world.keyPairs.has(asked.KeyName))
    throw new Ec2Fault('InvalidKeyPair.NotFound', `The key pair '${asked.KeyName}' does not exist`);
  for (const { SubnetId, SecurityGroupId = [] } of asked.NetworkInterface) {
    const subnet = world.subnets.find(({ id }) => id === SubnetId);
    if (!subnet) throw new Ec2Fault('InvalidSubnetID.NotFound', `The subnet ID '${SubnetId}' does not exist`);
    if (subnet.az !== AvailabilityZone)
      throw new Ec2Fault('InvalidParameterValue', `The subnet '${SubnetId}' is not in ${AvailabilityZone}`);
    const strange = SecurityGroupId.find((group) => !world.groups.has(group));
    if (strange !== undefined)
      throw new Ec2Fault('InvalidGroup.NotFound', `The security group '${strange}' does not exist`);
  }
  if (type.zones && !type.zones.includes(AvailabilityZone))
    throw new Ec2Fault(
      'Unsupported',
      `Your requested instance type (${asked.InstanceType}) is not supported in your requested Availability Zone (${AvailabilityZone}).`,
    );
  const kinds = (asked.TagSpecification ?? []).map(({ ResourceType }) => ResourceType);
  if (new Set(kinds).size !== kinds.length)
    throw new Ec2Fault('InvalidParameterValue', 'a resource type is tagged twice');
}

function sell(world: Ec2World, asked: Params): void {
  const spot = asked.InstanceMarketOptions !== undefined;
  const place = `${asked.Placement.AvailabilityZone}/${asked.InstanceType}${spot ? ':spot' : ''}`;
  if (world.soldOut.has(place))
    throw new Ec2Fault(
      'InsufficientInstanceCapacity',
      `We currently do not have sufficient ${asked.InstanceType} capacity in the Availability Zone you requested.`,
      500,
    );
  if (world.living().length >= world.maxInstances)
    throw new Ec2Fault(
      'VcpuLimitExceeded',
      'You have requested more vCPU capacity than your current vCPU limit allows.',
    );
}

function make(world: Ec2World, region: string, asked: Params): FakeInstance {
  const [nic] = asked.NetworkInterface;
  const tags = asked.TagSpecification?.find(({ ResourceType }) => ResourceType === 'instance')?.Tag ?? [];
  return world.add({
    region,
    az: asked.Placement.AvailabilityZone,
    type: asked.InstanceType,
    token: asked.ClientToken,
    spot: asked.InstanceMarketOptions !== undefined,
    tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])),
    userData: Buffer.from(asked.UserData ?? '', 'base64').toString('utf8'),
    keyName: asked.KeyName,
    subnet: nic?.SubnetId ?? '',
    groups: nic?.SecurityGroupId ?? [],
    publicIp: nic?.AssociatePublicIpAddress ? world.addressOf() : undefined,
  });
}
