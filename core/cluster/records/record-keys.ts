/** What the cluster's records are called in the store. */
export const keys = {
  job: (name: string): string => `job/${name}`,
  version: (job: string, version: number): string => `version/${job}/${String(version).padStart(8, '0')}`,
  machine: (id: string): string => `machine/${id}`,
  copy: (id: string): string => `copy/${id}`,
  /** The number of the next machine of a zone. */
  serial: (zone: string): string => `serial/${zone}`,
  /** The number of the next copy of a job that is gone: should it come back, no old command may mean one of its new copies. */
  jobSerial: (slug: string): string => `serial/job/${slug}`,
  /** The last event of a machine that stands on the timeline. */
  cursor: (machine: string): string => `cursor/${machine}`,
  /** The A record set of a name. */
  dns: (name: string): string => `dns/${name}/A`,
  /** An instance with our tag that this store has never ordered. */
  stranger: (machine: string): string => `stranger/${machine}`,
  adopted: (zone: string): string => `adopted/${zone}`,
  secret: (name: string): string => `secret/${name}`,
  token: (id: string): string => `token/${id}`,
  runtime: 'settings/runtime',
  cluster: 'meta/cluster',
  alert: (key: string): string => `alert/${key}`,
  event: (seq: number): string => `event/${String(seq).padStart(12, '0')}`,
};
