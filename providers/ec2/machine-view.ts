import type { Instance as Ec2Instance, InstanceStatus } from '@aws-sdk/client-ec2';
import type { Instance } from '../../core/contracts/machine-provider.ts';
import type { Progress } from '../../core/model/progress.ts';
import type { Site } from './site.ts';
import { TAG, tagOf } from './tags.ts';

const STATES: Record<string, Instance['state']> = {
  pending: 'pending',
  running: 'running',
  stopping: 'stopped',
  stopped: 'stopped',
  // What is shutting down may run still; it is gone when EC2 says so.
  'shutting-down': 'stopped',
  terminated: 'gone',
};

/** An instance as the cluster sees it; undefined for one without our tags, or of a zone that is not in the settings any more. */
export function machineView(found: Ec2Instance, site: Site | undefined): Instance | undefined {
  const [clusterId, machineId, zone] = [tagOf(found, TAG.cluster), tagOf(found, TAG.machine), tagOf(found, TAG.zone)];
  if (clusterId === undefined || machineId === undefined || zone === undefined || !found.InstanceId) return undefined;
  const state = STATES[found.State?.Name ?? 'pending'] ?? 'pending';
  const address = (site?.address === 'private' ? found.PrivateIpAddress : found.PublicIpAddress) || null;
  const trouble = endingOf(found);
  return {
    ref: found.InstanceId,
    clusterId,
    machineId,
    zone,
    intent: tagOf(found, TAG.intent) ?? '',
    state,
    address,
    endpoint: address === null || site === undefined ? null : `https://${address}:${site.sitter_port}`,
    ...(trouble !== undefined && { trouble }),
  };
}

/** Of an instance that does not run yet. */
export function pendingProgress({ ref, address }: Pick<Instance, 'ref' | 'address'>): Progress {
  const step = address === null ? `EC2 makes ${ref}, which has no address yet` : `EC2 boots ${ref}`;
  return { step, percent: null, failure: null };
}

/** Why it ended, where it was not us. */
function endingOf(found: Ec2Instance): string | undefined {
  const { Code, Message } = found.StateReason ?? {};
  if (Code === undefined || Code.startsWith('Client.UserInitiated')) return undefined;
  return `EC2 has ended it: ${Message ?? Code}`;
}

/** Evidence against an instance from its status: a check that fails, or something that EC2 has scheduled for it. */
export function statusTrouble(status: InstanceStatus): string | undefined {
  const event = status.Events?.find(({ Description = '' }) => !/^\[(completed|canceled)\]/i.test(Description));
  if (event)
    return `EC2 has scheduled ${event.Code ?? 'something'} for it${when(event.NotBefore)}: ${event.Description ?? ''}`;
  const failing = [
    status.SystemStatus?.Status === 'impaired' ? 'the host that it is on' : undefined,
    status.InstanceStatus?.Status === 'impaired' ? 'the instance itself' : undefined,
    status.AttachedEbsStatus?.Status === 'impaired' ? 'its volumes' : undefined,
  ].filter((part) => part !== undefined);
  return failing.length > 0 ? `EC2's status checks fail for ${failing.join(' and ')}` : undefined;
}

function when(date: Date | undefined): string {
  return date === undefined ? '' : ` from ${date.toISOString()}`;
}
