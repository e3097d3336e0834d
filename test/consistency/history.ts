/** What really happened, as far as it was seen from outside. Moments are milliseconds of the test's own monotonic clock. */

/** A job file that a person applied. */
export interface Write {
  job: string;
  /** In the job's environment: no two writes have the same. */
  token: string;
  copies: number;
  invokedAt: number;
  endedAt: number;
  /** `unknown`: no answer, or one that does not say that nothing was done. */
  outcome: 'acknowledged' | 'unknown';
  /** Which cluster sitter was asked. */
  sitter: number;
}

/** One change of one key in etcd, without the cluster's prefix. */
export interface StoreChange {
  revision: number;
  key: string;
  /** null: deleted. */
  value: string | null;
}

/** A machine that is there, as the host has it. */
export interface Sighting {
  machine: string;
  intent: string;
  /** The number of its folder: another one is another machine, even of the same name. */
  folder: string;
}

/** A newest epoch that a machine has heard of. */
export interface HeardEpochs {
  machine: string;
  epochs: number[];
}

/** A command that bore an older epoch than the machine had heard of, and what the machine answered. */
export interface StaleCommand {
  machine: string;
  epoch: number;
  heard: number;
  status: number;
}

export interface History {
  writes: Write[];
  changes: StoreChange[];
  sightings: Sighting[];
  heard: HeardEpochs[];
  stale: StaleCommand[];
}
