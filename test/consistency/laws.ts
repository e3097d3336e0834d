import type { History, StoreChange, Write } from './history.ts';

/** What has to hold of every history; each law names what breaks it. */
export const LAWS: readonly ((history: History) => string[])[] = [
  acknowledgedWritesStand,
  writesKeepTheirOrder,
  versionsOnlyGrow,
  versionsNeverChange,
  oneMachineForAnIntent,
  noMachineWithoutARecord,
  epochsOnlyGrow,
  onlyWhoLeadsWrites,
  eventsAreOneLine,
  machinesHearEpochsInOrder,
  staleCommandsAreRefused,
];

/** Written by whoever starts first, before anybody leads. */
const WITHOUT_LEAD = new Set(['data/meta/access', 'data/tls/authority']);
const REFUSED = 403;

export function brokenLaws(history: History): string[] {
  return LAWS.flatMap((law) => law(history).map((sentence) => `${law.name}: ${sentence}`));
}

/** The token in a job's record, and its version. */
export function jobIn(value: string): { token: string; version: number } {
  const record = JSON.parse(value);
  return { token: String(record.spec?.task_configuration?.env?.WRITE ?? ''), version: Number(record.version) };
}

/** The revision at which each token of a job came into the store. */
function arrivals(changes: readonly StoreChange[], job: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  let before = '';
  for (const { key, value, revision } of changes) {
    if (key !== `data/job/${job}` || value === null) continue;
    const { token } = jobIn(value);
    if (token !== before) found.set(token, [...(found.get(token) ?? []), revision]);
    before = token;
  }
  return found;
}

function* jobsOf(writes: readonly Write[]): Generator<[string, Write[]]> {
  for (const job of new Set(writes.map((write) => write.job))) yield [job, writes.filter((write) => write.job === job)];
}

function acknowledgedWritesStand({ writes, changes }: History): string[] {
  const broken: string[] = [];
  for (const [job, own] of jobsOf(writes)) {
    const found = arrivals(changes, job);
    for (const { token, outcome } of own) {
      const times = found.get(token)?.length ?? 0;
      if (outcome === 'acknowledged' && times === 0)
        broken.push(`${token} was acknowledged and is in no record of ${job}`);
      if (times > 1) broken.push(`${token} came into ${job} ${times} times`);
    }
  }
  return broken;
}

/** A write that began after another was acknowledged comes after it. */
function writesKeepTheirOrder({ writes, changes }: History): string[] {
  const broken: string[] = [];
  for (const [job, own] of jobsOf(writes)) {
    const found = arrivals(changes, job);
    const done = own.flatMap((write) => {
      const revision = found.get(write.token)?.[0];
      return revision === undefined ? [] : [{ ...write, revision }];
    });
    for (const one of done)
      for (const later of done)
        if (one.outcome === 'acknowledged' && one.endedAt < later.invokedAt && one.revision > later.revision)
          broken.push(`${later.token} was asked for after ${one.token} was acknowledged, and came before it`);
  }
  return broken;
}

function versionsOnlyGrow({ changes }: History): string[] {
  const last = new Map<string, number>();
  return changes.flatMap(({ key, value, revision }) => {
    if (!key.startsWith('data/job/') || value === null) return [];
    const { version } = jobIn(value);
    const before = last.get(key) ?? 0;
    last.set(key, version);
    return version < before ? [`${key} went from version ${before} back to ${version} at revision ${revision}`] : [];
  });
}

function versionsNeverChange({ changes }: History): string[] {
  const specs = new Map<string, string>();
  return changes.flatMap(({ key, value, revision }) => {
    if (!key.startsWith('data/version/') || value === null) return [];
    const spec = JSON.stringify(JSON.parse(value).spec);
    const before = specs.get(key) ?? spec;
    specs.set(key, spec);
    return before === spec ? [] : [`${key} became another at revision ${revision}`];
  });
}

function oneMachineForAnIntent({ changes, sightings }: History): string[] {
  const owners = new Map<string, Set<string>>();
  const note = (intent: string, machine: string): void => {
    owners.set(intent, (owners.get(intent) ?? new Set()).add(machine));
  };
  for (const { key, value } of changes)
    if (key.startsWith('data/machine/') && value !== null)
      note(JSON.parse(value).intent, key.slice('data/machine/'.length));
  const folders = new Map<string, Set<string>>();
  for (const { intent, machine, folder } of sightings) {
    note(intent, machine);
    folders.set(intent, (folders.get(intent) ?? new Set()).add(folder));
  }
  const several = (what: string, found: Map<string, Set<string>>): string[] =>
    [...found].flatMap(([intent, set]) =>
      set.size > 1 ? [`the intent ${intent} has ${set.size} ${what}: ${[...set].join(', ')}`] : [],
    );
  return [...several('machines', owners), ...several('folders', folders)];
}

function noMachineWithoutARecord({ changes, sightings }: History): string[] {
  const intents = new Set(
    changes.flatMap(({ key, value }) =>
      key.startsWith('data/machine/') && value !== null ? [JSON.parse(value).intent] : [],
    ),
  );
  return sightings.flatMap(({ machine, intent }) =>
    intents.has(intent) ? [] : [`${machine} was made for the intent ${intent}, which stands in no record`],
  );
}

function epochsOnlyGrow({ changes }: History): string[] {
  let epoch = 0;
  return changes.flatMap(({ key, value, revision }) => {
    if (key === 'data/meta/leader' && value !== null && JSON.parse(value).epoch !== epoch)
      return [
        `at revision ${revision} the one of epoch ${JSON.parse(value).epoch} says that it leads; it is epoch ${epoch}`,
      ];
    if (key !== 'epoch' || value === null) return [];
    const before = epoch;
    epoch = Number(value);
    return epoch <= before ? [`after epoch ${before} came ${epoch}, at revision ${revision}`] : [];
  });
}

/** Commits are made under a lead that holds at that very revision. */
function onlyWhoLeadsWrites({ changes }: History): string[] {
  let lead = false;
  return changes.flatMap(({ key, value, revision }) => {
    if (key === 'lead') lead = value !== null;
    if (lead || !key.startsWith('data/') || WITHOUT_LEAD.has(key)) return [];
    return [`${key} was written at revision ${revision}, when nobody led`];
  });
}

function eventsAreOneLine({ changes }: History): string[] {
  let next = 1;
  return changes.flatMap(({ key, value, revision }) => {
    if (!key.startsWith('data/event/') || value === null) return [];
    const { seq } = JSON.parse(value);
    const expected = next;
    next = seq + 1;
    return seq === expected ? [] : [`event ${seq} came at revision ${revision}, where ${expected} was due`];
  });
}

function machinesHearEpochsInOrder({ heard }: History): string[] {
  return heard.flatMap(({ machine, epochs }) =>
    epochs.flatMap((epoch, i) => {
      const before = epochs[i - 1] ?? 0;
      return epoch < before ? [`${machine} obeyed epoch ${epoch} after ${before}`] : [];
    }),
  );
}

function staleCommandsAreRefused({ stale }: History): string[] {
  return stale.flatMap(({ machine, epoch, heard, status }) =>
    status === REFUSED
      ? []
      : [`${machine}, which had heard of epoch ${heard}, answered a command of ${epoch} with ${status}`],
  );
}
