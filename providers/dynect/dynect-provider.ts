import { z } from 'zod';
import type { Clock } from '../../core/contracts/clock.ts';
import {
  commonParent,
  foreignSets,
  isWithin,
  judgeSet,
  labelOf,
  type WantedSet,
  wantedSets,
} from '../../core/contracts/dns-batch.ts';
import type { DnsChange, DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { dynRecord, readDynRecords } from './dyn-records.ts';
import { type Call, DynSession } from './dyn-session.ts';
import type { Config } from './schema.ts';

/** How long the list of zones is believed. */
const ZONES_MS = 300_000;
/** Between looks at the task that publishes a zone. */
const TASK_MS = 5000;

const zoneList = z.array(z.string());
const published = z.object({ task_id: z.union([z.string(), z.number()]) });
const task = z.object({ status: z.string(), message: z.string().nullish() });

/** Keeps records at Dyn Managed DNS ("DynECT"), by its REST API. */
export class DynectProvider implements DnsProvider {
  readonly name = 'dynect';
  /** The A records that a node can have. */
  readonly maxValues = 13;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: Config;
  #session: DynSession | null = null;
  #zones: { names: string[]; until: number } | null = null;

  constructor(services: { clock: Clock; logger: Logger }, config: Config) {
    this.#clock = services.clock;
    this.#logger = services.logger;
    this.#config = config;
  }

  /** Nothing is asked yet: a service that is down delays names, nothing else. */
  async start(): Promise<void> {
    this.#session ??= new DynSession(this.#clock, this.#config);
  }

  async stop(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    this.#zones = null;
    await session?.close();
  }

  async zoneOf(name: string): Promise<string | null> {
    const now = this.#clock.monotonic();
    if (!this.#zones || this.#zones.until <= now) {
      const data = await this.#started().run((call) => call('GET', 'Zone/'));
      const names = parsed(zoneList, data ?? [], 'the list of zones').map(zoneOfPath);
      this.#zones = { names, until: now + ZONES_MS };
    }
    const allowed = this.#zones.names.filter((zone) => this.#config.zones?.includes(zone) !== false);
    return allowed.filter((zone) => isWithin(name, zone)).sort((a, b) => b.length - a.length)[0] ?? null;
  }

  async list(name: string): Promise<DnsRecordSet[]> {
    const zone = await this.zoneOf(name);
    if (zone === null) return [];
    return this.#started().run(async (call) => (await read(call, zone, name)).sets);
  }

  /**
   * Changes wait in the session until they are published, all together. The zone has no lock against other writers: what is
   * there is read just before, and never more than one batch is under way.
   */
  async apply(zone: string, changes: readonly DnsChange[]): Promise<void> {
    if (this.#config.zones?.includes(zone) === false)
      throw new CerebroError('forbidden', `${zone} is not among the zones that plugins.json lets Cerebro write`);
    const wanted = wantedSets(zone, changes, this.maxValues);
    if (wanted.length === 0) return;
    if ((await this.zoneOf(zone)) !== zone)
      throw new CerebroError('invalid', `user "${this.#config.user_name}" sees no zone ${zone} at Dyn`);
    await this.#started().run(async (call, wait) => {
      // What a batch that failed may have left would be published with this one.
      await discard(call, zone);
      const due = await stillDue(call, zone, wanted);
      if (due.length === 0) return;
      try {
        for (const { set, there } of due) await write(call, zone, set, there);
        const data = await call('PUT', `Zone/${zone}/`, { publish: true, notes: 'Cerebro' });
        await taskDone(call, wait, zone, parsed(published, data, 'a publication').task_id);
      } catch (error) {
        await discard(call, zone).catch((reason) => {
          this.#logger.debug({ zone }, `unpublished changes are left in the session: ${messageOf(reason)}`);
        });
        throw error;
      }
    });
  }

  #started(): DynSession {
    if (!this.#session) throw new CerebroError('unavailable', 'the DNS provider dynect is not running');
    return this.#session;
  }
}

/** What is at `name` and below it. */
async function read(call: Call, zone: string, name: string): ReturnType<typeof readAll> {
  const { sets, aliases } = await readAll(call, zone, name);
  return { sets: sets.filter((set) => isWithin(set.name, name)), aliases };
}

async function readAll(call: Call, zone: string, name: string) {
  const below = name === zone ? null : await call('GET', `AllRecord/${zone}/${encodeURIComponent(name)}/?detail=Y`);
  // A name without records of its own may be said not to be there, whatever is below it: the zone itself always is.
  const data = below ?? (await call('GET', `AllRecord/${zone}/?detail=Y`));
  try {
    return readDynRecords(data);
  } catch (error) {
    throw new CerebroError('unavailable', `Dyn's records of ${name} cannot be read`, { cause: error });
  }
}

async function stillDue(
  call: Call,
  zone: string,
  wanted: readonly WantedSet[],
): Promise<{ set: WantedSet; there: DnsRecordSet | null }[]> {
  const { sets, aliases } = await read(call, zone, commonParent(wanted.map((set) => set.name)));
  const thereAt = new Map(sets.map((set) => [labelOf(set), set]));
  const judged = wanted.map((set) => {
    const there = thereAt.get(labelOf(set)) ?? null;
    return { set, there, verdict: judgeSet(set, there) };
  });
  const aliased = judged.filter(({ set, verdict }) => verdict === 'due' && aliases.has(set.name));
  if (aliased.length > 0)
    throw foreignSets(
      aliased.map(({ set }) => set),
      'a CNAME stands there at Dyn, and nothing can stand beside a CNAME: remove it',
    );
  const foreign = judged.filter(({ verdict }) => verdict === 'foreign');
  if (foreign.length > 0)
    throw foreignSets(
      foreign.map(({ set }) => set),
      'Dyn has something else there than Cerebro made, so it was left alone',
    );
  return judged.filter(({ verdict }) => verdict === 'due');
}

/** The path always ends with a name that is there: with an empty one, a DELETE would take all that is above it. */
async function write(call: Call, zone: string, set: WantedSet, there: DnsRecordSet | null): Promise<void> {
  const path = `${set.type}Record/${zone}/${set.name}/`;
  const records = set.values.map((value) => dynRecord(set, value));
  if (records.length === 0) await call('DELETE', path);
  else if (there === null) for (const record of records) await expectThere(call('POST', path, record), path);
  else await expectThere(call('PUT', path, { [`${set.type}Records`]: records }), path);
}

async function expectThere(answer: Promise<unknown>, path: string): Promise<void> {
  if ((await answer) === null)
    throw new CerebroError('unavailable', `Dyn does not know ${path} any more: somebody else changed it just now`);
}

async function discard(call: Call, zone: string): Promise<void> {
  await call('DELETE', `ZoneChanges/${zone}/`);
}

/** The servers have it when the task is complete, and until then the zone takes no further change. */
async function taskDone(
  call: Call,
  wait: (ms: number) => Promise<void>,
  zone: string,
  id: string | number,
): Promise<void> {
  for (;;) {
    const data = await call('GET', `Task/${id}/`);
    // Tasks that are long over are not kept.
    if (data === null) return;
    const { status, message } = parsed(task, data, 'a task');
    if (status === 'complete') return;
    if (status === 'failed' || status === 'canceled' || status === 'stalled')
      throw new CerebroError(
        'unavailable',
        `Dyn did not publish ${zone}: its task ${id} is ${status}${message ? ` (${message})` : ''}`,
      );
    await wait(TASK_MS);
  }
}

/** `/REST/Zone/example.com/`, with or without the slash at its end. */
function zoneOfPath(path: string): string {
  return (/\/Zone\/([^/]+)\/?$/.exec(path)?.[1] ?? '').toLowerCase();
}

function parsed<T>(schema: z.ZodType<T>, data: unknown, what: string): T {
  const result = schema.safeParse(data);
  if (!result.success)
    throw new CerebroError('unavailable', `Dyn's answer about ${what} cannot be read`, { cause: result.error });
  return result.data;
}
