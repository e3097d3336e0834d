import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { ProcessInfo } from '../../core/contracts/process-table.ts';
import { FolderClaim } from '../../core/engine/folder-claim.ts';
import { CerebroError } from '../../core/errors.ts';
import type { SitterFile } from '../../core/model/sitter-file.ts';

/** A thread that wants a folder in each round, at the same moment as others do. */
const { folder, start, self, rounds, racers, gone } = workerData as {
  folder: string;
  /** How many stand ready, of each round. */
  start: Int32Array;
  self: SitterFile;
  rounds: number;
  racers: number;
  gone: number;
};
const processes = {
  bootId: self.bootId,
  read: (pid: number): ProcessInfo | undefined =>
    pid === gone
      ? undefined
      : { pid, startTime: pid, ppid: 1, pgrp: pid, session: pid, state: 'S', rssBytes: 0, cpuTicks: 0 },
};
const won: number[] = [];
for (let round = 0; round < rounds; round++) {
  // Whoever comes last lets all go.
  if (Atomics.add(start, round, 1) === racers - 1) Atomics.notify(start, round);
  for (let ready = 0; ready < racers; ready = Atomics.load(start, round))
    if (ready > 0) Atomics.wait(start, round, ready);
  try {
    new FolderClaim(join(folder, String(round), 'sitter.json'), processes).take(self);
    won.push(round);
  } catch (error) {
    if (!(error instanceof CerebroError && error.code === 'conflict')) throw error;
  }
}
parentPort?.postMessage(won);
