import type { Site } from './site.ts';
import { TAG } from './tags.ts';

/** The rights that the provider needs for these sites, as an IAM policy, and no others. */
export function leastPolicy(sites: readonly Site[]): object {
  const profiles = sites.some(({ instance_profile }) => instance_profile !== undefined);
  const spot = sites.some((site) => site.spot !== 'never');
  const regions = [...new Set(sites.map(({ region }) => region))].sort();
  const inRegions = { StringEquals: { 'aws:RequestedRegion': regions } };
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'Look',
        Effect: 'Allow',
        Action: [
          'ec2:DescribeImages',
          'ec2:DescribeInstanceStatus',
          'ec2:DescribeInstanceTypeOfferings',
          'ec2:DescribeInstanceTypes',
          'ec2:DescribeInstances',
          'ec2:DescribeKeyPairs',
          'ec2:DescribeSecurityGroups',
          ...(spot ? ['ec2:DescribeSpotInstanceRequests'] : []),
          'ec2:DescribeSubnets',
        ],
        Resource: '*',
        Condition: inRegions,
      },
      {
        Sid: 'MakeWhatBearsOurTag',
        Effect: 'Allow',
        Action: 'ec2:RunInstances',
        Resource: ['arn:aws:ec2:*:*:instance/*', 'arn:aws:ec2:*:*:volume/*'],
        Condition: { ...inRegions, StringLike: { [`aws:RequestTag/${TAG.cluster}`]: '*' } },
      },
      {
        Sid: 'MakeItOf',
        Effect: 'Allow',
        Action: 'ec2:RunInstances',
        Resource: [
          'arn:aws:ec2:*::image/*',
          ...[
            'key-pair',
            'network-interface',
            'security-group',
            'subnet',
            ...(spot ? ['spot-instances-request'] : []),
          ].map((kind) => `arn:aws:ec2:*:*:${kind}/*`),
        ],
        Condition: inRegions,
      },
      {
        Sid: 'TagAtLaunch',
        Effect: 'Allow',
        Action: 'ec2:CreateTags',
        Resource: ['arn:aws:ec2:*:*:instance/*', 'arn:aws:ec2:*:*:volume/*'],
        Condition: { StringEquals: { 'ec2:CreateAction': 'RunInstances' } },
      },
      {
        Sid: 'EndWhatBearsOurTag',
        Effect: 'Allow',
        Action: 'ec2:TerminateInstances',
        Resource: 'arn:aws:ec2:*:*:instance/*',
        Condition: { ...inRegions, StringLike: { [`aws:ResourceTag/${TAG.cluster}`]: '*' } },
      },
      ...(profiles
        ? [
            {
              Sid: 'GiveMachinesTheirRole',
              Effect: 'Allow',
              Action: 'iam:PassRole',
              // The role's name is not in our settings, only its profile's: narrow this to it.
              Resource: 'arn:aws:iam::*:role/*',
              Condition: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
            },
          ]
        : []),
    ],
  };
}
