import { randomBytes, randomUUID } from 'node:crypto';
import type { CopyRecord } from '../../model/copy.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Action } from '../../model/plan.ts';

/** What a record of something new begins with: nothing was tried with it. */
const UNTRIED = { attempts: 0, nextAttemptAt: 0, lastError: null };

export function orderedMachine(action: Extract<Action, { kind: 'order-machine' }>, now: number): MachineRecord {
  const { machine: id, zone, type, replaces, reason } = action;
  return {
    id,
    zone,
    state: 'requested',
    type: type.name,
    cpu: type.cpu,
    mem: type.mem,
    intent: randomUUID(),
    token: newToken(),
    ref: null,
    address: null,
    endpoint: null,
    replaces,
    cordoned: false,
    labels: type.labels ?? {},
    price: type.price ?? null,
    drainUntil: null,
    reason,
    createdAt: now,
    stateSince: now,
    ...UNTRIED,
  };
}

export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

export function placedCopy(
  action: Extract<Action, { kind: 'place-copy' }>,
  jobRestarts: number,
  now: number,
): CopyRecord {
  const { copy: id, job, version, zone, machine, cpu, mem, run, linked, insteadOf, reason } = action;
  return {
    id,
    job,
    zone,
    machine,
    cpu,
    mem,
    wanted: 'run',
    version,
    recipeVersion: null,
    taskVersion: null,
    generation: 0,
    taskGeneration: 0,
    jobRestarts,
    linked,
    run,
    outcome: null,
    ...(insteadOf !== undefined && { insteadOf }),
    reason,
    createdAt: now,
    changedAt: now,
    ...UNTRIED,
  };
}

/** A copy that runs already: its recipe was run and its machine was told, by whoever had it before. */
export function takenCopy(
  action: Extract<Action, { kind: 'take-copy' }>,
  jobRestarts: number,
  now: number,
): CopyRecord {
  const { version, generation, restart } = action;
  return {
    ...placedCopy(
      { ...action, kind: 'place-copy', run: null, linked: {} },
      restart ? jobRestarts - 1 : jobRestarts,
      now,
    ),
    recipeVersion: version,
    taskVersion: version,
    generation,
    taskGeneration: generation,
  };
}
