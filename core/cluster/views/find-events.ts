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

/** Of what came before a copy: the end of the copy that it came after, and what had befallen that one's machine. */
const CAUSES_OF_EACH = 3;

/**
 * The newest events of a copy, and those of its machine alone since it was placed there: what it waits for happens to that. Before
 * them comes that it was placed, and why, where it came after another: however much has happened since, the chain has its beginning.
 */
export function copyTimeline(events: readonly ClusterEvent[], copy: CopyRecord, limit: number): ClusterEvent[] {
  const from = new Date(copy.createdAt).toISOString();
  const ofMachine = (event: ClusterEvent): boolean => isOfMachine(event, copy.machine) && event.at >= from;
  const placing = newest(events, (event) => event.copy === copy.id && event.kind === 'copy-placed', 1);
  const placed = placing[0];
  // By their numbers: what was written with the placing was told a moment after the plan, whose time the copy bears.
  const isBefore = (event: ClusterEvent): boolean => (placed ? event.seq < placed.seq : event.at <= from);
  const causes = [...(copy.insteadOf === undefined ? [] : causesOf(events, copy.insteadOf, isBefore)), ...placing];
  const seen = new Set(causes);
  const wanted = (event: ClusterEvent): boolean => (event.copy === copy.id || ofMachine(event)) && !seen.has(event);
  return [...causes, ...newest(events, wanted, limit - causes.length)].sort((a, b) => a.seq - b.seq);
}

function causesOf(
  events: readonly ClusterEvent[],
  predecessor: string,
  isBefore: (event: ClusterEvent) => boolean,
): ClusterEvent[] {
  const ends = newest(events, (event) => event.copy === predecessor && isBefore(event), CAUSES_OF_EACH);
  const machine = ends.at(-1)?.machine;
  if (machine === undefined) return ends;
  return [...newest(events, (event) => isOfMachine(event, machine) && isBefore(event), CAUSES_OF_EACH), ...ends];
}

/** It is about the machine itself, and nothing on it. */
function isOfMachine(event: ClusterEvent, machine: string): boolean {
  return event.machine === machine && event.copy === undefined && event.job === undefined;
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
