import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { CerebroError } from '../../core/errors.ts';
import { type SshTarget, sshTarget } from '../remotes/ssh-target.ts';
import { machineView } from './machine-view.ts';
import type { Site } from './site.ts';
import { TAG, tagOf } from './tags.ts';

/**
 * How an instance is logged in to, and whom to expect there. Throws `unavailable` for one without an address, and `invalid` for one
 * that has lost the tag with its host key.
 */
export function instanceTarget(instance: Ec2Instance, site: Site, address: string | null = null): SshTarget {
  const machineId = tagOf(instance, TAG.machine);
  const at = address ?? machineView(instance, site)?.address;
  if (at === null || at === undefined)
    throw new CerebroError('unavailable', `${machineId} has no ${site.address} address yet`);
  const hostKey = tagOf(instance, TAG.hostKey);
  if (hostKey === undefined)
    throw new CerebroError(
      'invalid',
      `${machineId} has lost its tag ${TAG.hostKey}: nobody can tell whether its address is still its own`,
    );
  // By the instance's own name: a cloud gives addresses to others again.
  return {
    ...sshTarget(at, { ...site.ssh, host_keys: [hostKey] }, instance.InstanceId),
    otherKeyAdvice: `end ${instance.InstanceId}: its tag ${TAG.hostKey} says which key it was born with`,
  };
}
