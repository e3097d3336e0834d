import { randomInt } from 'node:crypto';
import { labelOf, type WantedSet } from '../../core/contracts/dns-batch.ts';
import { CerebroError } from '../../core/errors.ts';
import { CLASS, MessageWriter, OPCODE, TYPE, wireData } from './dns-message.ts';

/** A message has 65,535 bytes at most; its signature takes some. */
const MAX_BYTES = 64_000;
const NOTHING = Buffer.alloc(0);

/** What a set is expected to be: exactly these values; null: absent. */
export interface Expected {
  name: string;
  type: 'A' | 'TXT';
  values: readonly string[] | null;
}

/** Updates that make the sets what they are wanted to be, provided that they are what the caller believes. One, but for huge batches. */
export function updateMessages(zone: string, sets: readonly WantedSet[]): MessageWriter[] {
  return pack(zone, sets, [(message, set) => require(message, { ...set, values: set.was }), change]);
}

/** Updates that change nothing and succeed when the sets are as expected: unlike a query, this is not led astray by wildcards. */
export function checkMessages(zone: string, sets: readonly Expected[]): MessageWriter[] {
  return pack(zone, sets, [require]);
}

type Write<S> = (message: MessageWriter, set: S) => void;

/** RFC 2136, 2.4: "RRset exists (value dependent)" and "RRset does not exist". */
function require(message: MessageWriter, { name, type, values }: Expected): void {
  const record = { name, type: TYPE[type], ttl: 0 };
  if (values === null) message.add('prerequisite', { ...record, class: CLASS.NONE, data: NOTHING });
  for (const value of values ?? [])
    message.add('prerequisite', { ...record, class: CLASS.IN, data: wireData(type, value) });
}

/** RFC 2136, 2.5: the set is deleted and made anew, since a record with another TTL would change that of the whole set. */
function change(message: MessageWriter, { name, type, ttl, values, was }: WantedSet): void {
  const record = { name, type: TYPE[type] };
  if (was !== null) message.add('update', { ...record, ttl: 0, class: CLASS.ANY, data: NOTHING });
  for (const value of values) message.add('update', { ...record, ttl, class: CLASS.IN, data: wireData(type, value) });
}

/** All that the first of `writes` has to say stands before what the second has: prerequisites come before changes. */
function pack<S extends { name: string; type: string }>(
  zone: string,
  sets: readonly S[],
  writes: readonly Write<S>[],
): MessageWriter[] {
  const write = (batch: readonly S[]): MessageWriter => {
    const message = new MessageWriter(randomInt(0x10000), OPCODE.UPDATE, { name: zone, type: 'SOA' });
    for (const part of writes) for (const set of batch) part(message, set);
    return message;
  };
  const batches: S[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const set of sets) {
    const size = write([set]).length;
    if (size > MAX_BYTES)
      throw new CerebroError('invalid', `${labelOf(set)} has more values than one DNS message can carry`);
    if (bytes + size > MAX_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(set);
    bytes += size;
  }
  return batches.map(write);
}
