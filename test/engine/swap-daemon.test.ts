import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DaemonSeat } from '../../core/cli/daemon-seat.ts';
import type { Release } from '../../core/cli/release.ts';
import { RunningDaemon } from '../../core/cli/running-daemon.ts';
import { TASKS_UNIT, UNIT_MARK } from '../../core/cli/service-units.ts';
import { swapDaemon } from '../../core/cli/swap-daemon.ts';
import { SystemdSeat } from '../../core/cli/systemd-seat.ts';
import { DataFolder } from '../../core/engine/data-folder.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import type { SitterFile } from '../../core/model/sitter-file.ts';

const processes = new ProcTable();
const own = processes.read(process.pid);
const file: SitterFile = {
  pid: process.pid,
  startTime: own?.startTime ?? 0,
  bootId: processes.bootId,
  url: 'http://127.0.0.1:1',
  mode: 'machine',
};

t.test('a seat that cannot take the new program leaves the old one alone', async (t) => {
  const done: string[] = [];
  const seat: DaemonSeat = {
    name: 'a seat',
    check: async () => undefined,
    put: async () => {
      throw new Error('the disk is full');
    },
    putBack: async () => void done.push('putBack'),
    pid: async () => process.pid,
    hopeless: async () => undefined,
  };
  const folder = new DataFolder(t.testdir(), processes);
  const release: Release = { version: '9.9.9', folder: '/none', main: '/none/main.js' };
  const end = async (): Promise<void> => void done.push('end');
  await t.rejects(swapDaemon(seat, release, { folder, deadlineMs: 1000, end }), {
    code: 'unavailable',
    message: 'version 9.9.9 could not be put in the place of the daemon, which runs on as it was: the disk is full',
  });
  t.same(done, [], 'nothing was ended, and nothing started again');
});

/** Words that stand in for systemd: they say which unit this process is of, and write down what else they are asked. */
function standInForSystemd(folder: string, unit: string): { asked(): string[] } {
  const log = join(folder, 'asked');
  writeFileSync(log, '');
  mkdirSync(join(folder, 'bin'));
  const script = [
    '#!/bin/sh',
    `echo "$*" >>'${log}'`,
    'case $* in',
    `*MainPID*) echo ${process.pid} ;;`,
    `*FragmentPath*) echo '${unit}' ;;`,
    'esac',
  ];
  writeFileSync(join(folder, 'bin', 'systemctl'), script.join('\n'), { mode: 0o755 });
  return { asked: () => readFileSync(log, 'utf8').trim().split('\n') };
}

t.test('units that could only be written in part are put back, and the service is not started again', async (t) => {
  const folder = t.testdir();
  const units = join(folder, 'units');
  mkdirSync(units);
  const unit = join(units, 'cerebro-machine.service');
  writeFileSync(unit, `${UNIT_MARK}\nExecStart=/old\n`);
  writeFileSync(join(units, TASKS_UNIT), `${UNIT_MARK}\n[old]\n`);
  const systemd = standInForSystemd(folder, unit);
  const path = process.env.PATH;
  process.env.PATH = `${join(folder, 'bin')}:${path}`;
  t.teardown(() => {
    process.env.PATH = path;
  });
  const daemon = RunningDaemon.read(file, folder, processes);
  Object.defineProperty(daemon, 'unitByGroup', { value: 'cerebro-machine.service' });
  const seat = await SystemdSeat.of(daemon);
  if (!seat) throw new Error('it was not taken for a service');
  // It writes the one unit, and then has no more room.
  const main = join(folder, 'main.js');
  writeFileSync(
    main,
    `import { writeFileSync } from 'node:fs';
     writeFileSync(${JSON.stringify(join(units, TASKS_UNIT))}, 'half of it');
     console.error('no space left on device'); process.exit(1);`,
  );
  const release: Release = { version: '9.9.9', folder, main };
  await seat.check(release);
  let ended = 0;
  const end = async (): Promise<void> => {
    ended += 1;
  };
  await t.rejects(swapDaemon(seat, release, { folder: new DataFolder(folder, processes), deadlineMs: 1000, end }), {
    message: /runs on as it was: the new program could not write its units into .*units: no space left on device/,
  });
  t.equal(ended, 0);
  t.match(readFileSync(unit, 'utf8'), 'ExecStart=/old');
  t.match(readFileSync(join(units, TASKS_UNIT), 'utf8'), '[old]');
  t.same(readdirSync(units).sort(), ['cerebro-machine.service', TASKS_UNIT]);
  const orders = systemd.asked().filter((words) => !words.includes('show'));
  t.same(orders, ['daemon-reload'], 'neither kill nor restart');
});
