import type { ClusterEvent } from '../model/event.ts';

/** One event, one line: number, time, level where it matters, sentence, and who did it. */
export function eventLine(event: ClusterEvent): string {
  const level = event.level === 'info' ? '' : `${event.level.toUpperCase()} `;
  const by = event.by === undefined ? '' : ` (by ${event.by})`;
  return `${String(event.seq).padStart(5)}  ${event.at.slice(0, 19).replace('T', ' ')}  ${level}${event.message}${by}`;
}
