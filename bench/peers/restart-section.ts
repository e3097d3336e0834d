import { join } from 'node:path';
import { pause } from '../bench-daemon.ts';
import { Marks } from '../marks.ts';
import { bareParent } from './bare.ts';
import { cerebro } from './cerebro.ts';
import { isInstalled, type Peer, withPeer } from './peer.ts';
import { pm2 } from './pm2.ts';
import { runit } from './runit.ts';
import { s6 } from './s6.ts';
import { median, NOT_INSTALLED, p95, type Row, type Section, withoutValues, withRatios } from './section.ts';
import { supervisord } from './supervisord.ts';

const WARM_UPS = 2;
/** runit and s6 restart without a pause what has run for longer than a second. */
const SETTLED_MS = 1200;
/** After a restart, before the task is killed again: what there is to tidy up after it is done, and a second has not passed. */
const AGAIN_MS = 100;

/** Each as quick as its documentation allows, and by its defaults where these are something else. */
function contestants(): Peer[] {
  return [
    bareParent(),
    cerebro('Cerebro, no pause', { noPause: true }),
    cerebro('Cerebro, default'),
    runit('runit'),
    s6('s6, the service says it is ready', { ready: true }),
    s6('s6, default'),
    supervisord('supervisord, startsecs=0', { startsecs: 0 }),
    supervisord('supervisord, default'),
    pm2('PM2'),
  ];
}

interface Contestant {
  peer: Peer;
  marks: Marks;
  names: readonly string[];
  /** Milliseconds of the restarts of what had run for a while, and of what had just been restarted. */
  settled: number[];
  again: number[];
}

export async function restartSection(folder: string, rounds: number): Promise<Section> {
  const all = contestants();
  const entered: Contestant[] = [];
  await enterAll(all.filter(isInstalled), folder, rounds + WARM_UPS, entered, async () => {
    await pause(SETTLED_MS);
    for (let round = 0; round < WARM_UPS + rounds; round++) await playRound(entered, round);
  });
  const rows = all.map((peer) =>
    rowOf(
      peer,
      entered.find((contestant) => contestant.peer === peer),
    ),
  );
  const [floor] = all;
  const base = floor?.name ?? '';
  return {
    title: '1. From kill -9 of a task to its replacement running',
    columns: [
      { key: 'runs', head: 'runs' },
      { key: 'settledMedianMs', head: 'settled: median ms', digits: 2 },
      { key: 'settledP95Ms', head: 'p95 ms', digits: 2 },
      { key: 'settledRatio', head: 'x floor', digits: 2 },
      { key: 'againMedianMs', head: 'again: median ms', digits: 2 },
      { key: 'againP95Ms', head: 'p95 ms', digits: 2 },
      { key: 'againRatio', head: 'x floor', digits: 2 },
    ],
    rows: withRatios(withRatios(rows, 'settledMedianMs', base, 'settledRatio'), 'againMedianMs', base, 'againRatio'),
    about: [
      `settled: the task had run for more than ${SETTLED_MS / 1000} s, when each of them is at its best; again: it is killed once more ${AGAIN_MS} ms after that restart`,
      'all run side by side and take turns; each round has a task of its own, so to each supervisor this is the first crash of the task',
      'runit pauses a second for a service that ran for less than one, and nothing can be set; s6 a second unless the service has been ready for one (notification-fd)',
      'supervisord looks what has to be started once a second, whatever is set',
      'PM2 restarts at once by default, until there were sixteen short runs in its first 16 s; Cerebro the first time, and pauses 1, 2, 4, ... s before further restarts in the same minute',
    ],
  };
}

/** Starts one after the other, and runs `body` when all are there. Each is ended on the way out. */
async function enterAll(
  peers: readonly Peer[],
  folder: string,
  count: number,
  entered: Contestant[],
  body: () => Promise<void>,
): Promise<void> {
  const [peer, ...others] = peers;
  if (!peer) return body();
  const number = entered.length;
  const marks = new Marks(join(folder, `restart-${number}-marks`));
  // The floor takes one task: it has no memory, to it each crash is the first.
  const names = Array.from({ length: number === 0 ? 1 : count }, (_, n) => `task-${n}`);
  const tasks = names.map((name) => ({ name, command: marks.commandOf(name) }));
  try {
    await withPeer(peer, join(folder, `restart-${number}`), tasks, async () => {
      await marks.started(names);
      entered.push({ peer, marks, names, settled: [], again: [] });
      await enterAll(others, folder, count, entered, body);
    });
  } finally {
    marks.close();
  }
}

async function playRound(entered: readonly Contestant[], round: number): Promise<void> {
  for (const { marks, names, settled, again } of entered) {
    const name = names[round % names.length] ?? '';
    const first = await marks.restart(name);
    await pause(AGAIN_MS);
    const second = await marks.restart(name);
    await pause(AGAIN_MS);
    if (round < WARM_UPS) continue;
    settled.push(first);
    again.push(second);
  }
}

function rowOf(peer: Peer, contestant: Contestant | undefined): Row {
  if (!contestant) return withoutValues(peer.name, NOT_INSTALLED);
  const { settled, again } = contestant;
  const values = {
    runs: settled.length,
    settledMedianMs: median(settled),
    settledP95Ms: p95(settled),
    againMedianMs: median(again),
    againP95Ms: p95(again),
  };
  return { name: peer.name, values };
}
