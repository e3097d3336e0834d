import { z } from 'zod';
import { Ec2Fault } from './ec2-fault.ts';
import type { Ec2World, FakeInstance } from './ec2-world.ts';
import { type Action, badFilter, dry, matches, page, paged } from './filters.ts';
import { instanceXml, stateXml } from './instance-xml.ts';
import { filters, readParams, yes } from './query-params.ts';
import type { XmlValue } from './xml.ts';

export const describeInstances: Action = (world, region, tree) => {
  const asked = readParams(z.strictObject({ ...paged, InstanceId: z.array(z.string()).optional() }), tree);
  dry(asked.DryRun);
  const found = shown(world, region, asked.InstanceId).filter((instance) =>
    matches(asked.Filter, (name) => {
      if (name.startsWith('tag:')) return instance.tags[name.slice(4)];
      if (name === 'tag-key') return Object.keys(instance.tags);
      if (name === 'client-token') return instance.token ?? '';
      if (name === 'instance-state-name') return world.stateOf(instance);
      throw badFilter(name);
    }),
  );
  const { items, next } = page(found, asked.NextToken);
  const reservationSet = items.map((instance) => ({
    reservationId: `r-${instance.id.slice(2)}`,
    ownerId: '123456789012',
    instancesSet: [instanceXml(world, instance)],
  }));
  return { reservationSet, nextToken: next };
};

export const describeInstanceStatus: Action = (world, region, tree) => {
  const asked = readParams(
    z.strictObject({ DryRun: yes.optional(), InstanceId: z.array(z.string()).max(100).optional() }),
    tree,
  );
  dry(asked.DryRun);
  // Without IncludeAllInstances it speaks of those that run alone.
  const running = shown(world, region, asked.InstanceId).filter((instance) => world.stateOf(instance) === 'running');
  const grade = (bad: boolean): XmlValue => ({
    status: bad ? 'impaired' : 'ok',
    details: [{ name: 'reachability', status: bad ? 'failed' : 'passed' }],
  });
  return {
    instanceStatusSet: running.map((instance) => ({
      instanceId: instance.id,
      availabilityZone: instance.az,
      instanceState: stateXml('running'),
      systemStatus: grade(false),
      instanceStatus: grade(instance.impaired),
      eventsSet: instance.event
        ? [
            {
              code: instance.event.code,
              description: instance.event.description,
              notBefore: '2027-01-01T00:00:00.000Z',
            },
          ]
        : [],
    })),
  };
};

export const describeSpotInstanceRequests: Action = (world, region, tree) => {
  const asked = readParams(z.strictObject({ DryRun: yes.optional(), Filter: filters }), tree);
  dry(asked.DryRun);
  const found = shown(world, region, undefined).filter(
    (instance) =>
      instance.spot &&
      matches(asked.Filter, (name) => {
        if (name === 'instance-id') return instance.id;
        if (name === 'status-code') return instance.spotNotice ? 'marked-for-termination' : 'fulfilled';
        throw badFilter(name);
      }),
  );
  return {
    spotInstanceRequestSet: found.map(({ id }) => ({
      spotInstanceRequestId: `sir-${id.slice(2, 10)}`,
      instanceId: id,
      state: 'active',
    })),
  };
};

export const terminateInstances: Action = (world, region, tree) => {
  const asked = readParams(
    z.strictObject({ DryRun: yes.optional(), InstanceId: z.array(z.string().regex(/^i-[0-9a-f]{8,17}$/)).min(1) }),
    tree,
  );
  const found = shown(world, region, asked.InstanceId);
  dry(asked.DryRun);
  const kept = found.find(({ isProtected }) => isProtected);
  if (kept)
    throw new Ec2Fault(
      'OperationNotPermitted',
      `The instance '${kept.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
    );
  return {
    instancesSet: found.map((instance) => {
      const previous = world.stateOf(instance);
      world.end(instance, 'Client.UserInitiatedShutdown', 'Client.UserInitiatedShutdown: User initiated shutdown');
      return {
        instanceId: instance.id,
        previousState: stateXml(previous),
        currentState: stateXml(world.stateOf(instance)),
      };
    }),
  };
};

/** The shown instances of a region; throws for an id that is not among them. */
function shown(world: Ec2World, region: string, ids: readonly string[] | undefined): FakeInstance[] {
  const all = world.instances.filter((instance) => instance.region === region && world.isShown(instance));
  if (ids === undefined) return all;
  return ids.map((id) => {
    const found = all.find((instance) => instance.id === id);
    if (!found) throw new Ec2Fault('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
    return found;
  });
}
