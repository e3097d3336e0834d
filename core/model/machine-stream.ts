import { z } from 'zod';
import { clusterEvent } from './event.ts';
import { taskStatus } from './task.ts';
import { hostVitals } from './vitals.ts';

/** How often a machine says that it is there, when it has nothing else to say. */
export const BEAT_MS = 1000;

/** One line of `GET /api/v1/watch` on a machine sitter: first `hello` with everything, then every change. */
export const machineMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), enforcer: z.string(), tasks: z.array(taskStatus) }),
  z.object({ type: z.literal('task'), task: taskStatus }),
  z.object({ type: z.literal('task-gone'), id: z.string() }),
  z.object({ type: z.literal('event'), event: clusterEvent }),
  /** Every few seconds. */
  z.object({ type: z.literal('vitals'), host: hostVitals }),
  z.object({ type: z.literal('beat') }),
]);
export type MachineMessage = z.infer<typeof machineMessage>;

/** The header in which a cluster sitter says which epoch its command is of. */
export const EPOCH_HEADER = 'cerebro-epoch';
/** Counts the orders of one cluster sitter, so that one that comes late is known for it. */
export const ORDER_HEADER = 'cerebro-order';
