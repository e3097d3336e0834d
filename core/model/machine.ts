import { z } from 'zod';
import { taskDefinition } from './task.ts';

/**
 * A machine's life, each state persisted before anything is done about it:
 *
 *   requested -> booting -> ready -> draining -> terminating -> (record deleted)
 *        \_________\_________\_________/
 *               lost: on evidence, from any state
 *
 * One that was adopted begins otherwise: deploying (its sitter is given this cluster's certificate) -> ready.
 */
export const machineState = z.enum(['requested', 'booting', 'deploying', 'ready', 'draining', 'terminating', 'lost']);
export type MachineState = z.infer<typeof machineState>;

export const machineRecord = z.object({
  id: z.string(),
  zone: z.string(),
  state: machineState,
  /** The provider's name of the size, its cores and MB. */
  type: z.string(),
  cpu: z.number(),
  mem: z.number(),
  /** The idempotency token of the order: the provider makes one machine for it, however often it is asked. */
  intent: z.string(),
  /** What the machine sitter on it takes as a bearer token from its own host. Never shown. */
  token: z.string(),
  /** The provider's own name for the instance, once known. */
  ref: z.string().nullable(),
  address: z.string().nullable(),
  /** The machine sitter's base URL, over https. */
  endpoint: z.string().nullable(),
  replaces: z.string().nullable(),
  cordoned: z.boolean(),
  /** The machine that is to replace it, where it is cordoned because of that and for nothing else. */
  cordonedFor: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  /** Per hour, as it was ordered; null: the provider names none. */
  price: z.number().nullable(),
  /** When the copies of a draining machine are stopped although none elsewhere is ready yet (ms since the epoch); null: never. */
  drainUntil: z.number().nullable(),
  /** It is drained, and was being deployed when that was asked for: nobody has heard its sitter yet. */
  unheard: z.literal(true).optional(),
  /** Tasks that were on it when it was adopted and that no copy is of yet: they run on until somebody says what is to become of them. */
  found: z.array(taskDefinition).optional(),
  reason: z.string(),
  createdAt: z.number(),
  stateSince: z.number(),
  /** Failed attempts at the effect that the state asks for, and when the next is due (ms since the epoch). */
  attempts: z.number().int(),
  nextAttemptAt: z.number(),
  lastError: z.string().nullable(),
});
export type MachineRecord = z.infer<typeof machineRecord>;

/** The size that it was ordered as. */
export function sizeOf({ type, labels }: Pick<MachineRecord, 'type' | 'labels'>): {
  name: string;
  labels: Record<string, string>;
} {
  return { name: type, labels };
}

/** It was ordered, and has not served yet. */
export function isOnItsWay({ state }: Pick<MachineRecord, 'state'>): boolean {
  return state === 'requested' || state === 'booting' || state === 'deploying';
}

/** States in which a machine may be given copies: it serves, or will. */
export const HOSTING_STATES: ReadonlySet<MachineState> = new Set(['requested', 'booting', 'deploying', 'ready']);
