import type { Clock } from '../../contracts/clock.ts';
import type { DnsProvider } from '../../contracts/dns-provider.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { DnsPlace } from '../../model/dns.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import { DnsLane } from './dns-lane.ts';

export interface DnsLanesDeps {
  records: ClusterRecords;
  providers: readonly DnsProvider[];
  clock: Clock;
  logger: Logger;
  ownerTxt: boolean;
}

/** A lane for each zone that names of ours are in: zones do not wait for each other. */
export class DnsLanes {
  readonly #deps: DnsLanesDeps;
  readonly #lanes = new Map<string, DnsLane>();

  constructor(deps: DnsLanesDeps) {
    this.#deps = deps;
  }

  /** Begins what there is to do and not under way; `onDone` is called whenever a step of it has ended. */
  run(onDone: () => void): void {
    const used = new Set([...this.#deps.records.dns.values()].map((record) => this.#at(record.place)));
    for (const [key, lane] of this.#lanes) if (!used.has(lane) && lane.close()) this.#lanes.delete(key);
    for (const lane of used) lane.run(onDone);
  }

  /** Has everything that is ours looked at; one promise for each basename in each zone. */
  lookAtAll(): Promise<void>[] {
    const basenames = new Map<DnsLane, Set<string>>();
    for (const record of this.#deps.records.dns.values()) {
      const lane = this.#at(record.place);
      basenames.set(lane, (basenames.get(lane) ?? new Set()).add(record.basename));
    }
    return [...basenames].flatMap(([lane, names]) => [...names].map((basename) => lane.lookAt(basename)));
  }

  /** When there is something to do without any news (ms since the epoch). */
  wakeAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#lanes.values()].map((lane) => lane.wakeAt()));
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.idle));
  }

  #at(place: DnsPlace): DnsLane {
    const { providers, ...deps } = this.#deps;
    const key = `${place.provider} ${place.zone}`;
    const lane =
      this.#lanes.get(key) ??
      new DnsLane({ ...deps, place, provider: providers.find(({ name }) => name === place.provider) });
    this.#lanes.set(key, lane);
    return lane;
  }
}
