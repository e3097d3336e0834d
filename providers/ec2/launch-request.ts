import type { RunInstancesCommandInput } from '@aws-sdk/client-ec2';
import type { NotedOrder } from './launch-book.ts';
import { readSize } from './machine-size.ts';
import type { Site } from './site.ts';
import { TAG } from './tags.ts';

/** What has been found out for a launch, beside the order and the settings. */
export interface LaunchParts {
  image: { id: string; rootDevice: string };
  subnet: string;
  /** Before base64. */
  userData: string;
  /** The public half of the machine's SSH host key. */
  hostKey: string;
}

/** The whole request for one machine. It follows from its input alone: an order that is repeated is the same request again. */
export function launchRequest(order: NotedOrder, site: Site, parts: LaunchParts): RunInstancesCommandInput {
  const { instanceType, spot } = readSize(order.type.name);
  const Tags = Object.entries({
    ...site.tags,
    Name: site.tags.Name ?? `cerebro ${order.machineId}`,
    [TAG.cluster]: order.clusterId,
    [TAG.machine]: order.machineId,
    [TAG.zone]: order.zone,
    [TAG.intent]: order.intent,
    [TAG.hostKey]: parts.hostKey,
  }).map(([Key, Value]) => ({ Key, Value }));
  return {
    ClientToken: order.intent,
    MinCount: 1,
    MaxCount: 1,
    ImageId: parts.image.id,
    // The SDK lists the types that it was made with; EC2 has newer ones.
    InstanceType: instanceType as RunInstancesCommandInput['InstanceType'],
    ...(site.key_pair !== undefined && { KeyName: site.key_pair }),
    ...(site.instance_profile !== undefined && { IamInstanceProfile: { Name: site.instance_profile } }),
    Placement: { AvailabilityZone: site.az },
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: parts.subnet,
        AssociatePublicIpAddress: site.address === 'public',
        DeleteOnTermination: true,
        ...(site.security_groups.length > 0 && { Groups: site.security_groups }),
      },
    ],
    BlockDeviceMappings: [
      {
        DeviceName: parts.image.rootDevice,
        Ebs: {
          VolumeSize: site.volume.size,
          VolumeType: site.volume.type,
          Encrypted: site.volume.encrypted,
          DeleteOnTermination: true,
        },
      },
    ],
    // With one hop, containers and forwarded requests do not reach the machine's credentials.
    MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    // A machine that switches itself off is replaced; stopped, it would cost on.
    InstanceInitiatedShutdownBehavior: 'terminate',
    ...(spot && {
      InstanceMarketOptions: {
        MarketType: 'spot' as const,
        SpotOptions: {
          SpotInstanceType: 'one-time' as const,
          InstanceInterruptionBehavior: 'terminate' as const,
          ...(site.spot_max_price !== undefined && { MaxPrice: String(site.spot_max_price) }),
        },
      },
    }),
    UserData: Buffer.from(parts.userData).toString('base64'),
    TagSpecifications: [
      { ResourceType: 'instance', Tags },
      { ResourceType: 'volume', Tags },
    ],
  };
}
