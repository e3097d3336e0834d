import type { Ec2World, FakeInstance, FakeState } from './ec2-world.ts';
import type { XmlValue } from './xml.ts';

const CODES: Record<FakeState, number> = { pending: 0, running: 16, 'shutting-down': 32, terminated: 48 };

export function stateXml(state: FakeState): XmlValue {
  return { code: CODES[state], name: state };
}

/** An instance as RunInstances and DescribeInstances show it. */
export function instanceXml(world: Ec2World, instance: FakeInstance): XmlValue {
  const state = world.stateOf(instance);
  const runs = state === 'running';
  return {
    instanceId: instance.id,
    instanceState: stateXml(state),
    instanceType: instance.type,
    clientToken: instance.token,
    keyName: instance.keyName,
    launchTime: new Date(instance.madeAt).toISOString(),
    placement: { availabilityZone: instance.az, tenancy: 'default' },
    subnetId: instance.subnet,
    // As with EC2, an address comes when it runs and goes when it ends.
    privateIpAddress: state === 'terminated' ? undefined : instance.privateIp,
    ipAddress: runs ? instance.publicIp : undefined,
    instanceLifecycle: instance.spot ? 'spot' : undefined,
    stateReason: instance.endReason
      ? { code: instance.endReason.code, message: instance.endReason.message }
      : undefined,
    tagSet: Object.entries(instance.tags).map(([key, value]) => ({ key, value })),
  };
}
