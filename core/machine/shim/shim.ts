import { closeSync, constants, openSync } from 'node:fs';
import type { ProcessId, ProcessTable } from '../../contracts/process-table.ts';
import { CerebroError, systemCode } from '../../errors.ts';
import type { LaunchedShim } from './shim-launcher.ts';
import { OWN_STREAM, orderSentence, type ShimOrder } from './shim-script.ts';

const LOG_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** How a shim ended: its task's exit status, or null where it was killed itself. */
export type ShimEnd = (status: number | null) => void;

/** A shim with its task's side, before and after its order. */
export class Shim implements ProcessId {
  readonly pid: number;
  readonly startTime: number;
  /** What will be the task. */
  readonly leader: ProcessId;
  readonly #launched: LaunchedShim;
  readonly #processes: ProcessTable;
  readonly #oomScore: number | null;

  constructor(
    launched: LaunchedShim,
    ids: { self: ProcessId; leader: ProcessId },
    processes: ProcessTable,
    oomScore: number | null,
  ) {
    this.#launched = launched;
    this.#processes = processes;
    this.#oomScore = oomScore;
    this.pid = ids.self.pid;
    this.startTime = ids.self.startTime;
    this.leader = ids.leader;
  }

  /** Whether it can still take an order. */
  get waits(): boolean {
    return !this.#launched.over && isThere(this.#processes, this) && isThere(this.#processes, this.leader);
  }

  /** Starts the run. Throws what the system says when a log cannot be opened. */
  begin(order: ShimOrder, onEnd: ShimEnd): void {
    for (const path of [order.stdout, order.stderr]) if (path !== OWN_STREAM) tryLog(path);
    this.#launched.order(orderSentence(order, this.#oomScore), onEnd);
  }

  /** It will have no order. One whose shim or task's side was killed is ended here: nobody else would come to it. */
  discard(): void {
    if (this.waits) this.#launched.discard();
    else this.abandon();
  }

  /** Ends the task's side, which nobody would wait for, and which would take the order of the next one at its pipe. */
  abandon(): void {
    try {
      if (isThere(this.#processes, this.leader)) process.kill(this.leader.pid, 'SIGKILL');
    } catch {
      // it has ended by itself meanwhile
    }
    this.lost();
  }

  /** It was killed: nothing more is waited for. */
  lost(): void {
    this.#launched.lost();
  }
}

/** What is wrong with a log is told here. A link in its place would let whoever may write into its folder have root write anywhere. */
function tryLog(path: string): void {
  try {
    closeSync(openSync(path, LOG_FLAGS, 0o640));
  } catch (error) {
    if (systemCode(error) !== 'ELOOP') throw error;
    throw new CerebroError('conflict', `${path} is a symbolic link, and a log has to be a file; remove it`, {
      cause: error,
    });
  }
}

export function isThere(processes: ProcessTable, { pid, startTime }: ProcessId): boolean {
  const info = processes.read(pid);
  return info !== undefined && info.startTime === startTime && info.state !== 'Z';
}
