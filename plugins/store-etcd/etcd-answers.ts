import { z } from 'zod';

/** etcd's gateway writes 64-bit numbers as strings and leaves out what is zero, false or empty. */
const int = z.coerce.number().int().default(0);

export const toBase64 = (text: string): string => Buffer.from(text).toString('base64');
export const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString();

const header = z.object({ revision: int });

export const keyValue = z.object({
  key: z.string().transform(fromBase64),
  value: z.string().default('').transform(fromBase64),
  mod_revision: int,
  create_revision: int,
  /** Leases are as large as 64 bits allow: text, since a number would lose their last digits. */
  lease: z.string().default('0'),
});
export type KeyValue = z.infer<typeof keyValue>;

export const rangeAnswer = z.object({
  header,
  kvs: z.array(keyValue).default([]),
  more: z.boolean().default(false),
});

export const txnAnswer = z.object({
  header,
  succeeded: z.boolean().default(false),
  responses: z
    .array(z.object({ response_range: z.object({ kvs: z.array(keyValue).default([]) }).optional() }))
    .default([]),
});
export type TxnAnswer = z.infer<typeof txnAnswer>;

/** The keys that the ranges of a transaction's answer found. */
export function foundIn(answer: TxnAnswer): Map<string, KeyValue> {
  const found = answer.responses.flatMap(({ response_range: range }) => range?.kvs ?? []);
  return new Map(found.map((kv) => [kv.key, kv]));
}

export const grantAnswer = z.object({ ID: z.string(), TTL: int });
/** TTL 0: the lease is over. */
export const keepAliveAnswer = z.object({ result: z.object({ TTL: int }) });
export const tokenAnswer = z.object({ token: z.string().min(1) });
export const versionAnswer = z.object({ etcdserver: z.string() });
export const anyAnswer = z.object({});

export const watchAnswer = z.object({
  result: z
    .object({
      created: z.boolean().default(false),
      canceled: z.boolean().default(false),
      compact_revision: int,
      cancel_reason: z.string().default(''),
      events: z.array(z.object({ type: z.enum(['PUT', 'DELETE']).default('PUT'), kv: keyValue })).default([]),
    })
    .optional(),
  error: z
    .object({ message: z.string().default('') })
    .loose()
    .optional(),
});
export type WatchAnswer = z.infer<typeof watchAnswer>;

export const errorAnswer = z.object({
  message: z.string().optional(),
  error: z.unknown(),
  code: z.number().optional(),
});
