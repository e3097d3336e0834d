import type { CopyRow } from '../e2e/embedded-cluster.ts';
import type { Write } from './history.ts';
import { processesWith } from './processes-with.ts';
import type { SitterUnderTest } from './sitter-under-test.ts';

interface Job {
  name: string;
  version: number;
  record: { spec: { task_configuration: { env: Record<string, string> } } };
}

/** What is wanted of a job, by the write that the store kept last. */
export interface Wanted {
  job: string;
  token: string;
  copies: number;
}

/**
 * What keeps the cluster from being at rest with everything that is wanted: one leads, all cluster sitters show the same, each copy is
 * ready, and on this host run exactly the processes that should, each of the newest version. Empty: nothing does.
 */
export async function unrest(
  sitters: readonly SitterUnderTest[],
  wanted: readonly Wanted[],
  run: string,
): Promise<string[]> {
  const dead = sitters.flatMap(({ lastWords }, n) =>
    lastWords === null ? [] : `sitter ${n} ended by itself: ${lastWords}`,
  );
  if (dead.length > 0) return dead;
  const found: string[] = [];
  const leaders = await Promise.all(
    sitters.map(async (sitter) => (await sitter.get<{ leads: boolean }>('/api/v1/status')).leads),
  );
  const leading = leaders.filter(Boolean).length;
  if (leading !== 1) found.push(`${leading} cluster sitters lead`);
  const processes = processesOf(run);
  for (const { job, token, copies } of wanted) {
    for (const [n, sitter] of sitters.entries()) {
      const { record } = await sitter.get<Job>(`/api/v1/jobs/${job}`);
      const shown = record.spec.task_configuration.env.WRITE;
      if (shown !== token) found.push(`sitter ${n} shows ${job} as of ${shown}, the store has ${token}`);
      const rows = (await sitter.get<CopyRow[]>(`/api/v1/copies?job=${job}`)).map(
        ({ copy, state }) => `${copy} ${state}`,
      );
      if (rows.length !== copies || !rows.every((row) => row.endsWith(' ready')))
        found.push(`sitter ${n} has ${copies} copies of ${job} to be ready: ${rows.join(', ') || 'none'}`);
    }
    const running = processes.filter(({ task }) => task === job).map(({ write }) => write);
    if (running.length !== copies || running.some((write) => write !== token))
      found.push(`${copies} processes of ${job} should run as of ${token}; there are: ${running.join(', ') || 'none'}`);
  }
  return found;
}

/** Of all writes that may have been made, those that the store has last. */
export function wantedOf(writes: readonly Write[], tokens: ReadonlyMap<string, string>): Wanted[] {
  return [...tokens].map(([job, token]) => {
    const write = writes.find((one) => one.job === job && one.token === token);
    if (!write) throw new Error(`${job} stands in the store as of ${token}, which nobody wrote`);
    return { job, token, copies: write.copies };
  });
}

/** The tasks of this run that really run: what the shell of each became. */
function processesOf(run: string): { task: string; write: string }[] {
  return processesWith('CEREBRO_CONSISTENCY', (value) => value === run)
    .filter(({ program }) => program === 'sleep')
    .map(({ variable }) => ({ task: variable('CEREBRO_JOB') ?? '', write: variable('WRITE') ?? '' }));
}
