import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { PageAnswer } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';

/** Events on a page about one thing. */
export const TIMELINE = 100;

/**
 * Makes a page about one thing. Where there is no such thing any more, its timeline is still told, since that is where
 * the links of old events lead; where there never was, the error goes on.
 */
export async function pageAbout(
  about: { job?: string; machine?: string; copy?: string },
  api: ClusterApi,
  make: () => Promise<PageAnswer>,
): Promise<PageAnswer> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof CerebroError) || error.code !== 'not_found') throw error;
    const events = await api.events({ ...about, limit: TIMELINE });
    if (events.length === 0) throw error;
    const name = about.job ?? about.machine ?? about.copy ?? '';
    return { template: 'gone.njk', title: name, data: { name, events: events.reverse() }, status: 404 };
  }
}
