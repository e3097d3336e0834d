import { Readable } from 'node:stream';
import { z } from 'zod';
import { type ApiRoute, apiRoute } from './api-route.ts';

export interface BackupSource {
  /** The lines of a backup of this moment. */
  backup(): Promise<Iterable<string>>;
}

/** What `cerebro backup` asks for. */
export function backupRoute(source: BackupSource): ApiRoute {
  return apiRoute({
    method: 'get',
    path: '/api/v1/backup',
    summary: 'A backup of the whole store, as lines of JSON; it holds secrets. docs/backup.md says what is in it',
    scope: 'admin',
    answer: z.string(),
    handle: async (_input, ctx) => {
      const lines = await source.backup();
      ctx.type = 'application/x-ndjson';
      ctx.set('Cache-Control', 'no-store');
      ctx.body = Readable.from(lines);
    },
  });
}
