import type { Tag } from '@aws-sdk/client-ec2';

/** The tags that say whose an instance is. Nothing without the first two is ever looked at, let alone ended. */
export const TAG = {
  cluster: 'cerebro:cluster',
  machine: 'cerebro:machine',
  zone: 'cerebro:zone',
  intent: 'cerebro:intent',
  /** The SSH host key that it was given: whoever asks EC2 knows whom to expect at its address. */
  hostKey: 'cerebro:host-key',
} as const;

export function tagOf(tagged: { Tags?: Tag[] | undefined }, key: string): string | undefined {
  return tagged.Tags?.find((tag) => tag.Key === key)?.Value;
}
