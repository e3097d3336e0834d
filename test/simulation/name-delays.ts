import type { NameZone } from './name-zone.ts';
import type { Network } from './network.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** So long after its beginning, or a pause, a cluster sitter has heard its machines and looked at its names (ms). */
const BEGINNING_MS = 20_000;
const STORE_TROUBLE_MS = 15_000;
/** What failed is tried again within a minute; what came late or twice is found by the next check. */
const RETRY_MS = 75_000;
const SLOWER_MS = 500;

/** What excuses names that are not yet as they should be: nobody who could change them, a store or a service in trouble, slow answers. */
export class NameDelays {
  /** How long it may take until what is known is answered, as calls go just now (ms). */
  passMs = 0;
  leader: SitterProcess | null = null;
  readonly #world: World;
  readonly #network: Network;
  #leaderSince = 0;

  constructor(world: World, network: Network) {
    this.#world = world;
    this.#network = network;
  }

  look(zones: readonly NameZone[]): void {
    const { clock, faults, processes } = this.#world;
    const now = clock.now();
    const leader = processes.findLast((process) => process.leads && !process.frozen) ?? null;
    if (leader !== this.leader) this.#leaderSince = now;
    this.leader = leader;
    for (const zone of zones)
      if (zone.down || zone.lagMs > 0 || !this.#network.reachesProvider()) zone.troubledAt = now;
    const pass = 5000 + 20 * faults.store.slowMs + 6 * faults.dns.slowMs;
    this.passMs = Math.max(pass, this.passMs - SLOWER_MS);
  }

  /** There is nobody who could do anything, or not for long enough, or the store hinders them. */
  isDisturbed(): boolean {
    const now = this.#world.clock.now();
    if (this.leader?.leads !== true || this.leader.frozen) return true;
    if (now - Math.max(this.#leaderSince, this.leader.awakeSince) < BEGINNING_MS) return true;
    return now - this.#world.storeTroubledAt < STORE_TROUBLE_MS;
  }

  isTroubled(zone: NameZone): boolean {
    return this.#world.clock.now() - zone.troubledAt < this.#world.settings.dns_check_interval * 1000 + RETRY_MS;
  }
}
