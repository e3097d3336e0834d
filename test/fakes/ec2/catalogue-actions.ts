import { z } from 'zod';
import { Ec2Fault } from './ec2-fault.ts';
import { type Action, badFilter, matches, only, page, paged } from './filters.ts';
import { filters, readParams } from './query-params.ts';

export const describeInstanceTypes: Action = (world, _region, tree) => {
  const asked = readParams(z.strictObject(paged), tree);
  const found = [...world.types].filter(([name]) => matches(asked.Filter, only('instance-type', name)));
  const { items, next } = page(found, asked.NextToken);
  const instanceTypeSet = items.map(([name, type]) => ({
    instanceType: name,
    supportedUsageClasses: ['on-demand', ...(type.spot ? ['spot'] : [])],
    processorInfo: { supportedArchitectures: [type.architecture] },
    vCpuInfo: { defaultVCpus: type.cpu },
    memoryInfo: { sizeInMiB: type.mem },
  }));
  return { instanceTypeSet, nextToken: next };
};

export const describeInstanceTypeOfferings: Action = (world, region, tree) => {
  const asked = readParams(z.strictObject({ ...paged, LocationType: z.literal('availability-zone') }), tree);
  const offers = (world.regions.get(region) ?? []).flatMap((az) =>
    [...world.types].filter(([, { zones }]) => zones?.includes(az) ?? true).map(([type]) => ({ az, type })),
  );
  const found = offers.filter(({ az, type }) =>
    matches(asked.Filter, (name) => {
      if (name === 'location') return az;
      if (name === 'instance-type') return type;
      throw badFilter(name);
    }),
  );
  return {
    instanceTypeOfferingSet: found.map(({ az, type }) => ({
      instanceType: type,
      locationType: 'availability-zone',
      location: az,
    })),
  };
};

export const describeImages: Action = (world, _region, tree) => {
  const asked = readParams(
    z.strictObject({ ImageId: z.array(z.string()).optional(), Owner: z.array(z.string()).optional(), Filter: filters }),
    tree,
  );
  const missing = asked.ImageId?.find((id) => !world.images.some((image) => image.id === id));
  if (missing !== undefined) throw new Ec2Fault('InvalidAMIID.NotFound', `The image id '[${missing}]' does not exist`);
  const found = world.images.filter(
    (image) =>
      (asked.ImageId?.includes(image.id) ?? true) &&
      (asked.Owner?.includes(image.owner) ?? true) &&
      matches(asked.Filter, (name) => {
        if (name === 'name') return image.name;
        if (name === 'architecture') return image.architecture;
        if (name === 'state') return 'available';
        if (name === 'root-device-type') return 'ebs';
        throw badFilter(name);
      }),
  );
  return {
    imagesSet: found.map(({ id, name, owner, architecture, made }) => ({
      imageId: id,
      name,
      imageOwnerId: owner,
      architecture,
      creationDate: made,
      imageState: 'available',
      rootDeviceName: '/dev/xvda',
      rootDeviceType: 'ebs',
    })),
  };
};

export const describeSubnets: Action = (world, region, tree) => {
  const asked = readParams(z.strictObject({ Filter: filters }), tree);
  const found = world.subnets.filter(
    ({ az, isDefault }) =>
      world.regionOf(az) === region &&
      matches(asked.Filter, (name) => {
        if (name === 'availability-zone') return az;
        if (name === 'default-for-az') return String(isDefault);
        throw badFilter(name);
      }),
  );
  return {
    subnetSet: found.map(({ id, az, isDefault }) => ({
      subnetId: id,
      availabilityZone: az,
      defaultForAz: isDefault,
      vpcId: 'vpc-01',
    })),
  };
};

export const describeKeyPairs: Action = (world, _region, tree) => {
  const { KeyName } = readParams(z.strictObject({ KeyName: z.array(z.string()) }), tree);
  const missing = KeyName.find((name) => !world.keyPairs.has(name));
  if (missing !== undefined) throw new Ec2Fault('InvalidKeyPair.NotFound', `The key pair '${missing}' does not exist`);
  return { keySet: KeyName.map((keyName) => ({ keyName })) };
};

export const describeSecurityGroups: Action = (world, _region, tree) => {
  const { GroupId } = readParams(z.strictObject({ GroupId: z.array(z.string()) }), tree);
  const missing = GroupId.find((id) => !world.groups.has(id));
  if (missing !== undefined)
    throw new Ec2Fault('InvalidGroup.NotFound', `The security group '${missing}' does not exist`);
  return { securityGroupInfo: GroupId.map((groupId) => ({ groupId })) };
};
