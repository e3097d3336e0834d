import { z } from 'zod';

const timeout = z.number().positive().optional();
const mode = z.number().int().min(0).max(0o7777).optional();

/** What the child asks of the machine; `id` comes back with the answer. */
const call = z.discriminatedUnion('call', [
  z.strictObject({
    call: z.literal('run'),
    id: z.number().int(),
    argv: z.array(z.string()).min(1),
    sudo: z.boolean(),
    timeout,
    cwd: z.string().optional(),
    env: z.record(z.string(), z.string()).optional(),
    input: z.string().optional(),
  }),
  z.strictObject({
    call: z.literal('put'),
    id: z.number().int(),
    local: z.string(),
    remote: z.string(),
    mode,
    owner: z.string().optional(),
  }),
  z.strictObject({
    call: z.literal('put_folder'),
    id: z.number().int(),
    local: z.string(),
    remote: z.string(),
    owner: z.string().optional(),
  }),
  z.strictObject({
    call: z.literal('write'),
    id: z.number().int(),
    text: z.string(),
    remote: z.string(),
    mode,
    owner: z.string().optional(),
  }),
  z.strictObject({ call: z.literal('get'), id: z.number().int(), remote: z.string(), local: z.string() }),
  z.strictObject({ call: z.literal('step_done'), id: z.number().int(), step: z.string(), set: z.boolean() }),
]);
export type ChildCall = z.infer<typeof call>;

/** A line from the child. `end` is its last. */
export const childMessage = z.union([
  call,
  z.strictObject({ progress: z.string(), percent: z.number().nullable() }),
  z.strictObject({ log: z.enum(['debug', 'info', 'warn', 'error']), message: z.string() }),
  z.strictObject({
    end: z.literal(true),
    /** null: it went well. */
    failure: z.strictObject({ message: z.string(), traceback: z.string() }).nullable(),
  }),
]);
export type ChildMessage = z.infer<typeof childMessage>;

/** The first line to the child. */
export interface ChildContext {
  recipe: string;
  options: Record<string, unknown>;
  version: string | null;
  job: string;
  copy: string;
  machine: string;
  zone: string;
  hostname: string;
  dns_hostname: string | null;
}
