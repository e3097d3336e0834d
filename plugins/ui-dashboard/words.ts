import type { JobChange } from '../../core/contracts/cluster-api.ts';

/** "1 copy", "3 copies". */
export function countOf(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

/** What happened to a job (`done`), or would. */
export function changeSentence(change: JobChange, done: boolean): string {
  const { job, version } = change;
  if (change.change === 'unchanged') return `"${job}" ${done ? 'was' : 'is'} already so; nothing changes.`;
  if (change.change === 'created') return done ? `"${job}" was added.` : `"${job}" is added.`;
  const consequence = change.restarts
    ? `version ${version}; its copies are restarted in turn`
    : 'nothing restarts for it';
  return done ? `"${job}" was updated: ${consequence}.` : `"${job}" is updated: ${consequence}.`;
}
