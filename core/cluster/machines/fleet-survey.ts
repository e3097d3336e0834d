import type { Clock } from '../../contracts/clock.ts';
import type { FoundMachine, MachineProvider } from '../../contracts/machine-provider.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { TaskDefinition } from '../../model/task.ts';
import { withDeadline } from '../work/with-deadline.ts';

/** For a provider to look at all that it has, and for one machine's tasks to be read. */
const SURVEY_MS = 60_000;
const READ_MS = 30_000;
/** For a provider to note that a machine is ours, which may take a look at it. */
const TAKE_MS = 60_000;
/** Machines that are looked at, or taken over, at the same time. */
const AT_ONCE = 8;

export interface SurveyedMachine {
  provider: MachineProvider;
  found: FoundMachine;
  tasks: TaskDefinition[];
  /** Why it cannot be adopted now. */
  problem: string | null;
}

export interface SurveyOptions {
  /** Which of them are asked about. */
  wanted(found: FoundMachine): boolean;
  /** The machine of ours that it is by its tag. */
  recordOf(found: FoundMachine): Pick<MachineRecord, 'ref'> | undefined;
}

/** Looks at everything that bears the tag of a cluster, of whichever, and that we do not have, for as far as providers can. Changes nothing. */
export async function surveyFleet(
  providers: Iterable<MachineProvider>,
  clock: Clock,
  options: SurveyOptions,
): Promise<{ machines: SurveyedMachine[]; problems: string[] }> {
  const machines: SurveyedMachine[] = [];
  const problems: string[] = [];
  await Promise.all(
    [...providers].map(async (provider) => {
      const { name } = provider;
      try {
        if (!provider.survey) return;
        const late = `the provider "${name}" did not say what it has`;
        const found = await withDeadline(clock, SURVEY_MS, late, async () => provider.survey?.());
        problems.push(...(found?.problems ?? []));
        for (const each of found?.machines ?? []) {
          const record = options.recordOf(each);
          const isOurs = record !== undefined && (record.ref === null || record.ref === each.ref);
          if (isOurs || each.state === 'gone' || !options.wanted(each)) continue;
          const problem = record ? `a machine of its name is one of ours already: ${record.ref}` : null;
          machines.push({ provider, found: each, tasks: [], problem });
        }
      } catch (error) {
        problems.push(`the provider "${name}" could not be asked: ${messageOf(error)}`);
      }
    }),
  );
  machines.sort((a, b) => (a.found.machineId < b.found.machineId ? -1 : 1));
  refuseNamesakes(machines);
  await eachOf(machines, (machine) => readTasks(machine, clock));
  problems.sort();
  return { machines, problems };
}

/** Tells the providers of those that can be adopted that they are ours from now on. One that has become another's since is left out. */
export async function takeOverFleet(machines: readonly SurveyedMachine[], clock: Clock): Promise<void> {
  await eachOf(machines, async (machine) => {
    const { provider, found, problem } = machine;
    if (problem !== null) return;
    try {
      const late = `the provider "${provider.name}" did not answer within ${TAKE_MS / 1000} s`;
      await withDeadline(clock, TAKE_MS, late, async () => provider.takeOver?.(found));
    } catch (error) {
      machine.problem = `it could not be taken over: ${messageOf(error)}`;
    }
  });
}

/** A copied disk, or a claim that somebody carried over: nobody can tell which of them the cluster means. */
function refuseNamesakes(machines: readonly SurveyedMachine[]): void {
  const named = new Map<string, SurveyedMachine[]>();
  for (const machine of machines) {
    const { clusterId, machineId } = machine.found;
    const key = `${clusterId}/${machineId}`;
    named.set(key, [...(named.get(key) ?? []), machine]);
  }
  for (const namesakes of named.values()) {
    if (namesakes.length < 2) continue;
    const refs = namesakes.map(({ found }) => found.ref).join(' and ');
    for (const machine of namesakes)
      machine.problem = `${refs} bear the same name; only one of them can be it: end the others`;
  }
}

async function eachOf(
  machines: readonly SurveyedMachine[],
  work: (m: SurveyedMachine) => Promise<void>,
): Promise<void> {
  const waiting = [...machines];
  const take = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
}

async function readTasks(machine: SurveyedMachine, clock: Clock): Promise<void> {
  const { provider, found } = machine;
  if (machine.problem !== null) return;
  if (found.state !== 'running' && found.state !== 'pending') {
    machine.problem = `it is ${found.state}`;
    return;
  }
  // Numbers are counted by zone, and a name tells its zone wherever it is read.
  if (!found.machineId.startsWith(`${found.zone}-`)) {
    machine.problem = `by its name it was in another zone than ${found.zone}, where ${found.ref} is by the settings; give the zone its old name there`;
    return;
  }
  try {
    if (!provider.readTasks || !provider.renewIdentity)
      throw new CerebroError('unsupported', `the provider "${provider.name}" has no way round its sitter`);
    const late = `${found.machineId} did not say what runs on it`;
    machine.tasks = await withDeadline(clock, READ_MS, late, async () => (await provider.readTasks?.(found)) ?? []);
  } catch (error) {
    // Without knowing what runs there, it would be ended as what no record knows.
    machine.problem = `what runs on it could not be read: ${messageOf(error)}`;
  }
}
