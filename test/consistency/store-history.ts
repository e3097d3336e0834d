import { z } from 'zod';
import type { EtcdServer } from '../fakes/etcd-servers.ts';
import type { StoreChange } from './history.ts';

const PREFIX = 'cerebro/';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString();
const READ_MS = 120_000;

const newest = z.object({ kvs: z.array(z.object({ mod_revision: z.coerce.number() })).default([]) });
const told = z.object({
  result: z.object({
    events: z
      .array(
        z.object({
          type: z.enum(['PUT', 'DELETE']).default('PUT'),
          kv: z.object({ key: z.string(), value: z.string().default(''), mod_revision: z.coerce.number() }),
        }),
      )
      .default([]),
  }),
});

/** Every change that was ever committed under the cluster's prefix, from etcd itself, in order. Nothing may have been compacted. */
export async function storeHistory(member: EtcdServer): Promise<StoreChange[]> {
  const range = { key: base64(PREFIX), range_end: base64('cerebro0') };
  // A last change of our own: the history is whole when it has come.
  await member.ask('/v3/kv/put', { key: base64(`${PREFIX}end`), value: base64('of the history') });
  const last = await member.ask('/v3/kv/range', { ...range, sort_order: 'DESCEND', sort_target: 'MOD', limit: 1 });
  const end = newest.parse(last).kvs[0]?.mod_revision ?? 0;
  const abort = AbortSignal.timeout(READ_MS);
  const response = await fetch(`${member.url}/v3/watch`, {
    method: 'POST',
    body: JSON.stringify({ create_request: { ...range, start_revision: '1' } }),
    signal: abort,
  });
  const changes: StoreChange[] = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines)
      for (const { type, kv } of told.parse(JSON.parse(line)).result.events)
        changes.push({
          revision: kv.mod_revision,
          key: fromBase64(kv.key).slice(PREFIX.length),
          value: type === 'PUT' ? fromBase64(kv.value) : null,
        });
    if ((changes.at(-1)?.revision ?? 0) >= end) return changes;
  }
  throw new Error(`the history of the store ended before revision ${end}`);
}
