import { randomUUID } from 'node:crypto';
import { SCHEMA_VERSION, storeKeys } from '../../model/backup.ts';
import type { JobRecord } from '../../model/job.ts';
import { type ClusterRecords, keys } from './cluster-records.ts';

/** First start: the cluster and its store get their names. */
export async function nameCluster(records: ClusterRecords): Promise<void> {
  await records.transact(() => {
    if (records.clusterId !== '') return null;
    return {
      write: [{ put: keys.cluster, value: randomUUID() }],
      events: [{ level: 'info', kind: 'cluster-created', message: 'this cluster begins' }],
    };
  });
  await records.transact(() => {
    if (records.storeId !== '') return null;
    const write = [
      { put: storeKeys.id, value: randomUUID() },
      { put: storeKeys.schema, value: SCHEMA_VERSION },
    ];
    return { write, events: [] };
  });
}

/** A fresh start, and no take-over: jobs that are not persistent are forgotten, their copies stopped. */
export async function forgetPassingJobs(records: ClusterRecords): Promise<void> {
  await records.transact(() => {
    const passing = [...records.jobs.values()].filter((job) => !job.spec.persistent && job.state === 'active');
    return {
      write: passing.map((job) => ({
        put: keys.job(job.name),
        value: { ...job, state: 'removing' } satisfies JobRecord,
      })),
      events: passing.map((job) => ({
        level: 'info' as const,
        kind: 'job-removing',
        message: `"${job.name}" is not persistent and is forgotten, since the cluster sitter was started afresh`,
        job: job.name,
      })),
    };
  });
}
