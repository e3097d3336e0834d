import type { Authority } from '../../core/cluster/access/certificate-authority.ts';
import { ClusterSitter, type ClusterSitterDeps } from '../../core/cluster/cluster-sitter.ts';
import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { DnsProvider } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { MachineProvider } from '../../core/contracts/machine-provider.ts';
import { messageOf } from '../../core/errors.ts';
import type { Settings } from '../../core/model/settings.ts';
import { type Cloud, NO_IDENTITY } from './cloud.ts';
import type { EffectLaws } from './effect-laws.ts';
import type { NameLaws } from './name-laws.ts';
import type { NameZones } from './name-zones.ts';
import type { Network } from './network.ts';
import { simulatedRecipes } from './recipes.ts';
import { SimulatedDnsProvider } from './simulated-dns-provider.ts';
import { SimulatedLink } from './simulated-link.ts';
import { SimulatedProvider } from './simulated-provider.ts';
import type { SimulatedStore } from './simulated-store.ts';
import { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** What a deliberately wrong cluster sitter does otherwise than ours; `fixtures/` has some. */
export interface Breakage {
  plan?: NonNullable<ClusterSitterDeps['plan']>;
  planNames?: NonNullable<ClusterSitterDeps['planNames']>;
  provider?(right: MachineProvider, parts: SitterParts): MachineProvider;
  dnsProvider?(right: DnsProvider, parts: SitterParts): DnsProvider;
  settings?(right: Settings): Settings;
  /** The epoch that its commands say they are of. */
  epoch?(right: number): number;
}

export interface SitterParts {
  world: World;
  cloud: Cloud;
  network: Network;
  store: SimulatedStore;
  laws: EffectLaws;
  zones: NameZones;
  nameLaws: NameLaws;
}

/** Keeps a cluster sitter running, as an init system would: when one ends, another is started over the same store. */
export class Sitters {
  readonly #parts: SitterParts;
  readonly #breakage: Breakage;
  #current: { sitter: ClusterSitter; api: ClusterApi; process: SitterProcess; ready: boolean } | null = null;
  #over = false;

  constructor(parts: SitterParts, breakage: Breakage) {
    this.#parts = parts;
    this.#breakage = breakage;
  }

  /** The one that was started last, once it leads and for as long as it lives. */
  current(): { api: ClusterApi; process: SitterProcess } | null {
    return this.#current?.process.alive === true && this.#current.ready ? this.#current : null;
  }

  begin(): void {
    if (this.#over) return;
    const { world } = this.#parts;
    const process = new SitterProcess(world);
    world.tell(`${process.name} begins`);
    const sitter = this.#make(process);
    const current = { sitter, api: sitter.api, process, ready: false };
    this.#current = current;
    process.onEnd(() => {
      if (this.#current?.process !== process) return;
      const pause = world.random.fork(`after ${process.name}`).between(200, 15_000);
      world.after(pause, () => {
        if (this.#current?.process === process) this.begin();
      });
    });
    sitter.start().then(
      () => {
        current.ready = true;
      },
      (error) => process.end(`could not start: ${messageOf(error)}`),
    );
  }

  stopInOrder(): void {
    const current = this.#current;
    if (!current || !this.current()) return;
    this.#parts.world.tell(`${current.process.name} is to stop`);
    current.sitter.stop().then(
      () => current.process.end('has stopped'),
      (error) => current.process.end(`did not stop in order: ${messageOf(error)}`),
    );
  }

  /** Nobody goes on. */
  end(): void {
    this.#over = true;
    for (const process of this.#parts.world.processes) process.end('ends with its world');
  }

  #make(process: SitterProcess): ClusterSitter {
    const parts = this.#parts;
    const { world } = parts;
    const { provider, dnsProvider, settings, epoch: otherEpoch, plan, planNames } = this.#breakage;
    const rightProvider = new SimulatedProvider(parts, process);
    return new ClusterSitter({
      settings: settings?.(world.settings) ?? world.settings,
      store: parts.store.seenBy(process),
      providers: [provider?.(rightProvider, parts) ?? rightProvider],
      dnsProviders: parts.zones.all.map((zone) => {
        const right = new SimulatedDnsProvider(parts, process, zone);
        return dnsProvider?.(right, parts) ?? right;
      }),
      recipeLoaders: [simulatedRecipes(world, process)],
      notifiers: [],
      authority: AUTHORITY,
      plugins: () => [],
      setLogLevel: () => undefined,
      version: 'simulated',
      clock: process.clock,
      logger: loggerOf(process, world),
      link: (epoch) => new SimulatedLink(parts, process, () => otherEpoch?.(epoch()) ?? epoch()),
      ...(plan && { plan }),
      ...(planNames && { planNames }),
    });
  }
}

const AUTHORITY: Authority = {
  lifetimeMs: Number.MAX_SAFE_INTEGER,
  issue: async () => NO_IDENTITY,
  issueForClusterSitter: async () => NO_IDENTITY,
  issueForDoor: async () => NO_IDENTITY,
  end: async () => Number.MAX_SAFE_INTEGER,
};

/** What the daemon logs goes onto the timeline; a plan that does not come to rest is wrong. */
function loggerOf(process: SitterProcess, world: World): Logger {
  const say = (level: string) => (fields: object, message: string) => {
    const error = 'err' in fields ? `: ${messageOf(fields.err)}` : '';
    world.tell(`${process.name} ${level}: ${message}${error}`);
    if (message.includes('does not come to rest')) world.violate('a plan comes to rest', JSON.stringify(fields));
  };
  const nothing = (): void => undefined;
  const logger: Logger = { debug: nothing, info: nothing, warn: say('warns'), error: say('says'), child: () => logger };
  return logger;
}
