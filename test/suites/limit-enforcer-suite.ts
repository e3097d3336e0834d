import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import {
  type Breach,
  type Enclosure,
  type LimitEnforcer,
  type Limits,
  RUN_MARKER,
  type Warning,
} from '../../core/contracts/limit-enforcer.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

const NO_LIMITS: Limits = {
  cpu: null,
  onCpu: 'throttle',
  memBytes: null,
  memWarnBytes: null,
  swap: false,
  pids: null,
  io: [],
  pollInterval: 0.05,
};
const MB = 1024 * 1024;

/** A run as the shim starts it: marked, leader of its own session, inside what the enclosure's entry names. */
interface Run {
  enclosure: Enclosure;
  leader: ChildProcess;
  pid: number;
  marker: string;
  breaches: Breach[];
  warnings: Warning[];
}

/** What every `limit-enforcer` must do. `make` gives one that is not started; it must work on this host. */
export function limitEnforcerSuite(make: () => LimitEnforcer): Suite {
  const withRun = (
    name: string,
    command: string,
    limits: Partial<Limits>,
    body: (t: Assertions, run: Run) => Promise<void>,
  ): Suite[number] => ({
    name,
    run: async (t) => {
      const enforcer = make();
      await enforcer.start();
      const run = await begin(enforcer, command, { ...NO_LIMITS, ...limits });
      try {
        await body(t, run);
      } finally {
        await run.enclosure.kill(10_000);
        await run.enclosure.release();
        await enforcer.stop();
      }
    },
  });

  return [
    {
      name: 'probe says that it works, or why not, and changes nothing',
      run: async (t) => {
        const answer = await make().probe();
        t.ok(answer.works || answer.sentence.length > 0);
      },
    },
    {
      name: 'stop is fine twice, and before start',
      run: async (t) => {
        const enforcer = make();
        await enforcer.stop();
        await enforcer.start();
        await enforcer.stop();
        await enforcer.stop();
        t.ok(true);
      },
    },
    {
      name: 'an enclosure that was never entered can be killed and released, twice',
      run: async (t) => {
        const enforcer = make();
        await enforcer.start();
        const enclosure = await enforcer.enclose({ marker: randomUUID(), task: 'nobody' }, NO_LIMITS);
        await enclosure.kill(1000);
        await enclosure.release();
        await enclosure.release();
        t.equal(enclosure.usage(), null);
        await enforcer.stop();
      },
    },
    withRun('kill ends the leader', 'sleep 1000', {}, async (t, run) => {
      await run.enclosure.kill(10_000);
      t.notOk(isAlive(run.pid));
    }),
    withRun(
      'kill ends children and grandchildren',
      'sleep 1000 & (sleep 1000 & sleep 1000) & wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 4, 'the tree has grown');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends a child that called setsid and whose parent is dead',
      '(setsid sleep 1000 &) ; sleep 1000',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 2, 'the child is there');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends what a leader that has ended left behind',
      '(setsid sleep 1000 &) ; sleep 1000 & exit 0',
      {},
      async (t, run) => {
        await eventually(() => !isAlive(run.pid) && marked(run.marker).length >= 2, 'only the rest is there');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends a process that ignores SIGTERM',
      "trap '' TERM INT HUP; while :; do sleep 1; done",
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 2, 'it is in its loop');
        run.enclosure.signal('SIGTERM');
        await new Promise((resolve) => setTimeout(resolve, 50));
        t.ok(isAlive(run.pid));
        await run.enclosure.kill(10_000);
        t.notOk(isAlive(run.pid));
      },
    ),
    withRun('kill ends stopped processes', 'sleep 1000 & wait', {}, async (t, run) => {
      process.kill(run.pid, 'SIGSTOP');
      await run.enclosure.kill(10_000);
      t.same(marked(run.marker), []);
    }),
    withRun(
      'kill ends a tree that keeps forking',
      'f() { while :; do (sleep 0.2; :) & sleep 0.005; done; }; f & f & wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 10, 'it forks');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun('signal reaches every process of the run', 'sleep 1000 & sleep 1000 & wait', {}, async (t, run) => {
      await eventually(() => marked(run.marker).length >= 3, 'the tree has grown');
      run.enclosure.signal('SIGTERM');
      await eventually(() => marked(run.marker).length === 0, 'all are gone');
      t.ok(true);
    }),
    withRun('a run within its memory is left alone', 'sleep 1000', { memBytes: 200 * MB }, async (t, run) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      t.same(run.breaches, []);
      t.ok(isAlive(run.pid));
    }),
    withRun(
      'a run that grows past its memory is reported once, with the numbers',
      hog(120),
      { memBytes: 60 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0 || !isAlive(run.pid), 'the breach is noticed');
        await new Promise((resolve) => setTimeout(resolve, 200));
        t.equal(run.breaches.length, 1);
        t.equal(run.breaches[0]?.limit, 'mem');
        t.ok(/of 60 MB/.test(run.breaches[0]?.sentence ?? ''));
        t.ok(run.enclosure.account().peakMemBytes > 50 * MB);
      },
    ),
    withRun(
      'memory of the children counts',
      `${hog(45)} & ${hog(45)} & wait`,
      { memBytes: 60 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0, 'the breach is noticed');
        t.equal(run.breaches[0]?.limit, 'mem');
      },
    ),
    withRun(
      'usage shows processes, memory and cpu',
      'while :; do :; done & wait',
      { memBytes: 500 * MB },
      async (t, run) => {
        await eventually(() => (run.enclosure.usage()?.cpu ?? 0) > 0.2, 'the loop is seen');
        const usage = run.enclosure.usage();
        t.equal(usage?.processes, 2);
        t.ok((usage?.memBytes ?? 0) > 0);
        t.ok(run.enclosure.account().cpuSeconds > 0);
      },
    ),
    withRun(
      'a run that was taken up again by its marker is killed as a whole',
      'sleep 1000 & (setsid sleep 1000 &) ; wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 3, 'the tree has grown');
        const enforcer = make();
        await enforcer.start();
        const again = await enforcer.enclose({ marker: run.marker, task: 'again' }, NO_LIMITS);
        again.attach({ pid: run.pid, startTime: startTime(run.pid) });
        await again.kill(10_000);
        await again.release();
        await enforcer.stop();
        t.same(marked(run.marker), []);
      },
    ),
    {
      name: 'two runs are told apart',
      run: async (t) => {
        const enforcer = make();
        await enforcer.start();
        const one = await begin(enforcer, 'sleep 1000 & wait', NO_LIMITS);
        const other = await begin(enforcer, 'sleep 1000 & wait', NO_LIMITS);
        await one.enclosure.kill(10_000);
        t.same(marked(one.marker), []);
        t.ok(isAlive(other.pid));
        await other.enclosure.kill(10_000);
        await one.enclosure.release();
        await other.enclosure.release();
        await enforcer.stop();
      },
    },
  ];
}

/** A shell command that takes up so many MB and keeps them. */
function hog(megabytes: number): string {
  return `${process.execPath} --max-old-space-size=16 -e 'const b = Buffer.alloc(${megabytes} * 1048576, 1); setInterval(() => b[0]++, 1000)'`;
}

async function begin(enforcer: LimitEnforcer, command: string, limits: Limits): Promise<Run> {
  const marker = randomUUID();
  const enclosure = await enforcer.enclose({ marker, task: 'suite' }, limits);
  const breaches: Breach[] = [];
  const warnings: Warning[] = [];
  enclosure.listen({ onBreach: (breach) => breaches.push(breach), onWarning: (warning) => warnings.push(warning) });
  const { cgroupProcs } = enclosure.entry;
  const enter = cgroupProcs === null ? '' : `echo 0 > '${cgroupProcs}'; `;
  const leader = spawn('/bin/bash', ['-c', `${enter}exec /bin/bash -c "$1"`, 'leader', command], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', [RUN_MARKER]: marker },
  });
  const { pid } = leader;
  if (pid === undefined) throw new Error('the leader could not be started');
  enclosure.attach({ pid, startTime: startTime(pid) });
  return { enclosure, leader, pid, marker, breaches, warnings };
}

function stat(pid: number | string): string[] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function startTime(pid: number): number {
  return Number(stat(pid)[19] ?? 0);
}

function isAlive(pid: number): boolean {
  const [state] = stat(pid);
  return state !== undefined && state !== 'Z';
}

/** The living processes that bear a marker, seen by another way than the enforcer's own. */
function marked(marker: string): string[] {
  const found: string[] = [];
  for (const pid of readdirProc()) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${RUN_MARKER}=${marker}`) && isAlive(Number(pid)))
        found.push(pid);
    } catch {
      // it has ended
    }
  }
  return found;
}

function readdirProc(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}
