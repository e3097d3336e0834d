import type { EventQuery } from '../../contracts/cluster-api.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterEvent } from '../../model/event.ts';

/** The events that a query asks for, oldest first: with `since` on from there, without it the newest. */
export function findEvents(events: readonly ClusterEvent[], query: EventQuery): ClusterEvent[] {
  const { since, limit = 100, job, machine, copy } = query;
  const wanted = (event: ClusterEvent): boolean =>
    event.seq > (since ?? 0) &&
    (job === undefined || event.job === job) &&
    (machine === undefined || event.machine === machine) &&
    (copy === undefined || event.copy === copy);
  return since === undefined ? newest(events, wanted, limit) : oldest(events, wanted, limit);
}

/** The newest events of a copy, and those of its machine alone since it was placed there: what it waits for happens to that. */
export function copyTimeline(events: readonly ClusterEvent[], copy: CopyRecord, limit: number): ClusterEvent[] {
  const from = new Date(copy.createdAt).toISOString();
  const ofMachine = (event: ClusterEvent): boolean =>
    event.machine === copy.machine && event.copy === undefined && event.job === undefined && event.at >= from;
  return newest(events, (event) => event.copy === copy.id || ofMachine(event), limit);
}

function oldest(
  events: readonly ClusterEvent[],
  wanted: (event: ClusterEvent) => boolean,
  limit: number,
): ClusterEvent[] {
  const found: ClusterEvent[] = [];
  for (let i = 0; i < events.length && found.length < limit; i++) {
    const event = events[i];
    if (event && wanted(event)) found.push(event);
  }
  return found;
}

function newest(
  events: readonly ClusterEvent[],
  wanted: (event: ClusterEvent) => boolean,
  limit: number,
): ClusterEvent[] {
  const found: ClusterEvent[] = [];
  for (let i = events.length - 1; i >= 0 && found.length < limit; i--) {
    const event = events[i];
    if (event && wanted(event)) found.push(event);
  }
  return found.reverse();
}
