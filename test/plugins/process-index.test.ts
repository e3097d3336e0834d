import t from 'tap';
import type { ProcessInfo, ProcessTable } from '../../core/contracts/process-table.ts';
import { type IndexedRun, ProcessIndex } from '../../plugins/enforcer-proc/process-index.ts';

/** A host whose processes are what the test says, and that counts how it is looked at. */
class FakeTable implements ProcessTable {
  readonly bootId = 'boot';
  readonly processes = new Map<number, ProcessInfo>();
  readonly markers = new Map<number, string>();
  last = 0;
  lists = 0;
  reads = 0;
  /** In clock ticks since boot. */
  now = 100_000;

  uptime(): number {
    return this.now / 100;
  }

  parse(): undefined {
    return undefined;
  }

  read(pid: number): ProcessInfo | undefined {
    this.reads += 1;
    return this.processes.get(pid);
  }

  scan(): ProcessInfo[] {
    return [...this.processes.values()];
  }

  pids(): number[] {
    this.lists += 1;
    return [...this.processes.keys()];
  }

  lastPid(): number {
    return this.last;
  }

  environment(pid: number): string | undefined {
    return this.markers.get(pid);
  }

  add(pid: number, ppid: number, session = pid): ProcessInfo {
    const info = {
      pid,
      ppid,
      session,
      pgrp: session,
      state: 'S',
      startTime: this.now,
      rssBytes: 4096,
      cpuTicks: 0,
    };
    this.processes.set(pid, info);
    this.last = pid;
    return info;
  }
}

function fixture(): { table: FakeTable; index: ProcessIndex; run: IndexedRun; members(): number[] } {
  const table = new FakeTable();
  for (let pid = 20_000; pid < 21_000; pid++) table.add(pid, 1);
  // The numbers have come round: everybody else has a higher one.
  table.last = 300;
  const leader = table.add(301, 1);
  const run: IndexedRun = { marker: 'mark', leader, grew: () => undefined };
  const index = new ProcessIndex(table);
  index.add(run);
  index.refresh();
  return { table, index, run, members: () => index.members(run).map(({ pid }) => pid) };
}

t.test('only who was born is read, and for a few nobody is listed', async (t) => {
  const { table, index, members } = fixture();
  table.add(302, 301);
  table.add(303, 1);
  Object.assign(table, { lists: 0, reads: 0 });
  index.refresh();
  t.same([table.lists, table.reads], [0, 2]);
  t.same(members(), [301, 302]);
  table.reads = 0;
  index.refresh();
  t.equal(table.reads, 0, 'nobody was born');
});

t.test('a number that was given before its process can be seen is looked for again, but not for ever', async (t) => {
  const { table, index, members } = fixture();
  table.last = 302;
  index.refresh();
  t.same(members(), [301]);
  table.add(302, 301);
  index.refresh();
  t.same(members(), [301, 302]);
  table.last = 303;
  for (let i = 0; i < 5; i++) index.refresh();
  table.reads = 0;
  index.refresh();
  t.equal(table.reads, 0);
});

t.test('where many were born they are listed, and when the numbers come round everybody is read', async (t) => {
  const { table, index, members } = fixture();
  for (let pid = 302; pid < 402; pid++) table.add(pid, 301);
  table.lists = 0;
  index.refresh();
  t.equal(table.lists, 1);
  t.equal(members().length, 101);
  // Another process has a number that was known as a stranger's.
  table.now += 10;
  table.add(20_500, 301);
  table.last = 5;
  index.refresh();
  t.ok(members().includes(20_500));
});

t.test('who is gone is forgotten now and then, also where few are born', async (t) => {
  const { table, index, members } = fixture();
  table.processes.delete(20_001);
  for (let pid = 302; pid < 342; pid++) {
    table.add(pid, 301);
    index.refresh();
  }
  t.ok(table.lists >= 2, 'they were listed, but seldom');
  t.ok(table.lists <= 4);
  // The number is given again, to somebody of the run.
  table.now += 10;
  table.last = 20_000;
  table.add(20_001, 301);
  index.refresh();
  t.ok(members().includes(20_001));
});
