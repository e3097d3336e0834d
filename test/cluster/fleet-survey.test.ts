import t from 'tap';
import { surveyFleet, takeOverFleet } from '../../core/cluster/machines/fleet-survey.ts';
import type { FoundMachine, MachineProvider } from '../../core/contracts/machine-provider.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { CerebroError } from '../../core/errors.ts';

const found = (machineId: string, change: Partial<FoundMachine> = {}): FoundMachine => ({
  ref: `i-${machineId}`,
  clusterId: 'lost',
  machineId,
  zone: 'fake-a',
  intent: 'i',
  state: 'running',
  address: null,
  endpoint: null,
  type: { name: 'small', cpu: 1, mem: 1 },
  ...change,
});

const provider = (machines: FoundMachine[], more: Partial<MachineProvider> = {}): MachineProvider =>
  ({
    name: 'fake',
    survey: async () => ({ machines, problems: ['rack/9 was not reached'] }),
    readTasks: async () => [],
    renewIdentity: async () => undefined,
    ...more,
  }) as unknown as MachineProvider;

const clock = new SystemClock();
const all = { wanted: () => true, recordOf: () => undefined };
const problemsOf = async (under: MachineProvider, options: Partial<typeof all> = {}): Promise<(string | null)[]> =>
  (await surveyFleet([under], clock, { ...all, ...options })).machines.map(({ problem }) => problem);

t.test('each machine that cannot be adopted says why, and the others can be', async (t) => {
  const under = provider([
    found('fake-a-1'),
    found('fake-a-2', { state: 'stopped' }),
    found('fake-b-3'),
    found('fake-a-4', { ref: 'one' }),
    found('fake-a-4', { ref: 'two' }),
    found('fake-a-5', { state: 'gone' }),
    found('fake-a-6', { clusterId: 'another' }),
  ]);
  const twice = 'one and two bear the same name; only one of them can be it: end the others';
  t.same(await problemsOf(under), [
    null,
    'it is stopped',
    twice,
    twice,
    null,
    'by its name it was in another zone than fake-a, where i-fake-b-3 is by the settings; give the zone its old name there',
  ]);
});

t.test('what is ours already is not shown, and what bears the name of one of ours says so', async (t) => {
  const under = provider([found('fake-a-1'), found('fake-a-2'), found('fake-a-3')]);
  const records = new Map([
    ['fake-a-1', { ref: 'i-fake-a-1' }],
    ['fake-a-2', { ref: null }],
    ['fake-a-3', { ref: 'i-other' }],
  ]);
  const options = { recordOf: ({ machineId }: FoundMachine) => records.get(machineId) } as Partial<typeof all>;
  t.same(await problemsOf(under, options), ['a machine of its name is one of ours already: i-other']);
});

t.test('providers that do not answer, and hosts that they did not reach, are told beside what was found', async (t) => {
  const silent = provider([], {
    name: 'silent',
    survey: async () => Promise.reject(new CerebroError('unavailable', 'nobody is there')),
  });
  const { machines, problems } = await surveyFleet([silent, provider([found('fake-a-1')])], clock, all);
  t.equal(machines.length, 1);
  t.same(problems, ['rack/9 was not reached', 'the provider "silent" could not be asked: nobody is there']);
});

t.test('without a way to know its tasks, or to speak to it, a machine is not adopted', async (t) => {
  const reading = /^what runs on it could not be read: /;
  const [unread] = await problemsOf(
    provider([found('fake-a-1')], {
      readTasks: async () => Promise.reject(new CerebroError('invalid', 'half a file')),
    }),
  );
  t.match(unread, reading);
  const { renewIdentity: _none, ...without } = provider([found('fake-a-1')]);
  const [unable] = await problemsOf(without as MachineProvider);
  t.match(unable, 'the provider "fake" has no way round its sitter');
});

t.test('one that has become another’s since it was looked at is left out, and the others are not', async (t) => {
  const taken: string[] = [];
  const under = provider([found('fake-a-1'), found('fake-a-2')], {
    takeOver: async ({ machineId }) => {
      if (machineId === 'fake-a-1') throw new CerebroError('conflict', 'it is theirs by now');
      taken.push(machineId);
    },
  });
  const { machines } = await surveyFleet([under], clock, all);
  await takeOverFleet(machines, clock);
  t.same(taken, ['fake-a-2']);
  t.same(
    machines.map(({ problem }) => problem),
    ['it could not be taken over: it is theirs by now', null],
  );
});
