import type { DnsChange, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { DnsUnderTest, MakeDnsProvider } from './dns-provider-suite.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

type RecordType = DnsRecordSet['type'];

/** A case over a fresh zone, with its provider started, and everything ended afterwards whatever became of it. */
export function dnsCase(
  make: MakeDnsProvider,
  name: string,
  body: (t: Assertions, under: DnsUnderTest) => Promise<void>,
): Suite[number] {
  return {
    name,
    run: async (t) => {
      const under = await make();
      try {
        await under.provider.start();
        await body(t, under);
      } finally {
        await under.provider.stop();
        await under.cleanUp();
      }
    },
  };
}

export function put(
  name: string,
  type: RecordType,
  values: readonly string[],
  was: readonly string[] | null = null,
  ttl = 30,
): DnsChange {
  return { kind: 'put', set: { name, type, ttl, values }, was };
}

export function remove(name: string, type: RecordType, was: readonly string[]): DnsChange {
  return { kind: 'remove', name, type, was };
}

/** Waits until the server answers so; a provider may be done before its last server has heard of it. */
export async function seen(
  under: DnsUnderTest,
  name: string,
  type: RecordType,
  values: readonly string[] | null,
  ttl?: number,
): Promise<void> {
  const wanted = values === null ? null : [...values].sort();
  let last = 'nothing';
  const look = async (): Promise<boolean> => {
    const found = await under.look(name, type);
    last = JSON.stringify(found);
    if (found === null || wanted === null) return found === wanted;
    return (
      JSON.stringify([...found.values].sort()) === JSON.stringify(wanted) && (ttl === undefined || found.ttl === ttl)
    );
  };
  await eventually(look, `${name} ${type} is ${JSON.stringify(wanted)}`, 30_000).catch((error: Error) => {
    throw new Error(`${error.message}; the last answer was ${last}`);
  });
}

/** How a call that must fail failed: its code and its sentence. */
export async function refusal(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  return call.then(
    () => ({ code: 'it was not refused', message: '' }),
    (error: Error & { code?: string }) => ({ code: error.code ?? 'no code', message: error.message }),
  );
}
