/** What records hold that a test does not care about: nothing special ever happened to them. */
export const PLAIN_JOB = {
  lastVersion: 1,
  goodVersion: null,
  rollout: null,
  stopped: false,
  restarts: 0,
  runs: [],
  scheduledUntil: 0,
};

export const PLAIN_COPY = {
  generation: 0,
  taskGeneration: 0,
  jobRestarts: 0,
  linked: {},
  run: null,
  outcome: null,
};

export const PLAIN_MACHINE = { labels: {}, price: null, drainUntil: null };

export const NO_CEILINGS = {
  orphanGraceMs: 60_000,
  maxMachines: (): number => Number.POSITIVE_INFINITY,
  maxSpend: (): number => Number.POSITIVE_INFINITY,
};
