import type { Clock } from '../../contracts/clock.ts';
import type { FoundMachine, MachineProvider } from '../../contracts/machine-provider.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { TaskDefinition } from '../../model/task.ts';
import { withDeadline } from '../work/with-deadline.ts';

/** For a provider to look at all that it has, and for one machine's tasks to be read. */
const SURVEY_MS = 60_000;
const READ_MS = 30_000;
/** Machines whose tasks are read at the same time. */
const AT_ONCE = 8;

export interface SurveyedMachine {
  provider: MachineProvider;
  found: FoundMachine;
  tasks: TaskDefinition[];
  /** Why it cannot be adopted now. */
  problem: string | null;
}

/** Looks at everything that bears the tag of a cluster, of whichever, for as far as providers can. Changes nothing. */
export async function surveyFleet(
  providers: Iterable<MachineProvider>,
  clock: Clock,
  wanted: (found: FoundMachine) => boolean,
): Promise<{ machines: SurveyedMachine[]; problems: string[] }> {
  const machines: SurveyedMachine[] = [];
  const problems: string[] = [];
  await Promise.all(
    [...providers].map(async (provider) => {
      const { name } = provider;
      try {
        if (!provider.survey) return;
        const late = `the provider "${name}" did not say what it has`;
        const found = await withDeadline(clock, SURVEY_MS, late, async () => (await provider.survey?.()) ?? []);
        for (const each of found) if (wanted(each)) machines.push({ provider, found: each, tasks: [], problem: null });
      } catch (error) {
        problems.push(`the provider "${name}" could not be asked: ${messageOf(error)}`);
      }
    }),
  );
  machines.sort((a, b) => (a.found.machineId < b.found.machineId ? -1 : 1));
  const waiting = [...machines];
  const read = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await readTasks(next, clock);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, read));
  return { machines, problems };
}

async function readTasks(machine: SurveyedMachine, clock: Clock): Promise<void> {
  const { provider, found } = machine;
  if (found.state !== 'running' && found.state !== 'pending') {
    machine.problem = `it is ${found.state}`;
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
