import t from 'tap';
import type { History, StoreChange, Write } from './history.ts';
import { brokenLaws } from './laws.ts';

const job = (token: string, version: number): string =>
  JSON.stringify({ version, spec: { task_configuration: { env: { WRITE: token } } } });
const write = (
  token: string,
  invokedAt: number,
  endedAt: number,
  outcome: Write['outcome'] = 'acknowledged',
): Write => ({
  job: 'a',
  token,
  copies: 1,
  invokedAt,
  endedAt,
  outcome,
  sitter: 0,
});
const put = (revision: number, key: string, value: string): StoreChange => ({ revision, key, value });
const history = (given: Partial<History>): History => ({
  writes: [],
  changes: [],
  sightings: [],
  heard: [],
  stale: [],
  ...given,
});
const LED = put(1, 'lead', 'one');
const jobs = (...changes: [string, number][]): StoreChange[] => [
  LED,
  ...changes.map(([token, version], i) => put(i + 2, 'data/job/a', job(token, version))),
];
const machine = (id: string, intent: string, revision = 2): StoreChange =>
  put(revision, `data/machine/${id}`, JSON.stringify({ intent }));

t.test('a history in which all is well', async (t) => {
  t.same(
    brokenLaws(
      history({
        writes: [write('x', 0, 1), write('y', 2, 3), write('z', 2, 3, 'unknown')],
        changes: [
          ...jobs(['x', 1], ['y', 2], ['y', 2]),
          machine('m', 'i'),
          put(9, 'epoch', '5'),
          put(10, 'data/meta/leader', '{"epoch": 5}'),
        ],
        sightings: [{ machine: 'm', intent: 'i', folder: '1' }],
        heard: [{ machine: 'm', epochs: [4, 5, 5] }],
        stale: [{ machine: 'm', epoch: 4, heard: 5, status: 403 }],
      }),
    ),
    [],
  );
});

const BROKEN: Record<string, Partial<History>> = {
  'acknowledgedWritesStand: x was acknowledged and is in no record of a': { writes: [write('x', 0, 1)] },
  'acknowledgedWritesStand: x came into a 2 times': {
    writes: [write('x', 0, 1), write('y', 0, 1)],
    changes: jobs(['x', 1], ['y', 2], ['x', 3]),
  },
  'writesKeepTheirOrder: y was asked for after x was acknowledged, and came before it': {
    writes: [write('x', 0, 1), write('y', 2, 3)],
    changes: jobs(['y', 1], ['x', 2]),
  },
  'versionsOnlyGrow: data/job/a went from version 2 back to 1 at revision 3': { changes: jobs(['x', 2], ['y', 1]) },
  'versionsNeverChange: data/version/a/1 became another at revision 3': {
    changes: [LED, put(2, 'data/version/a/1', '{"spec": 1}'), put(3, 'data/version/a/1', '{"spec": 2}')],
  },
  'oneMachineForAnIntent: the intent i has 2 machines: m, n': {
    changes: [LED, machine('m', 'i'), machine('n', 'i', 3)],
  },
  'oneMachineForAnIntent: the intent i has 2 folders: 1, 2': {
    changes: [LED, machine('m', 'i')],
    sightings: [
      { machine: 'm', intent: 'i', folder: '1' },
      { machine: 'm', intent: 'i', folder: '2' },
    ],
  },
  'noMachineWithoutARecord: m was made for the intent i, which stands in no record': {
    sightings: [{ machine: 'm', intent: 'i', folder: '1' }],
  },
  'epochsOnlyGrow: after epoch 5 came 5, at revision 2': { changes: [put(1, 'epoch', '5'), put(2, 'epoch', '5')] },
  'epochsOnlyGrow: at revision 3 the one of epoch 4 says that it leads; it is epoch 5': {
    changes: [LED, put(2, 'epoch', '5'), put(3, 'data/meta/leader', '{"epoch": 4}')],
  },
  'onlyWhoLeadsWrites: data/job/a was written at revision 3, when nobody led': {
    changes: [LED, { revision: 2, key: 'lead', value: null }, put(3, 'data/job/a', job('x', 1))],
  },
  'eventsAreOneLine: event 3 came at revision 3, where 2 was due': {
    changes: [LED, put(2, 'data/event/1', '{"seq": 1}'), put(3, 'data/event/3', '{"seq": 3}')],
  },
  'machinesHearEpochsInOrder: m obeyed epoch 4 after 5': { heard: [{ machine: 'm', epochs: [5, 4] }] },
  'staleCommandsAreRefused: m, which had heard of epoch 5, answered a command of 4 with 200': {
    stale: [{ machine: 'm', epoch: 4, heard: 5, status: 200 }],
  },
};

t.test('each way to break a law is found', async (t) => {
  for (const [sentence, given] of Object.entries(BROKEN)) t.ok(brokenLaws(history(given)).includes(sentence), sentence);
});
