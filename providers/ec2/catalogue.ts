import type { InstanceTypeInfo } from '@aws-sdk/client-ec2';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { Ec2Region } from './ec2-region.ts';
import { readSize, sizeName } from './machine-size.ts';
import { type PriceTable, priceOf, round } from './price-table.ts';
import type { Architecture, Config } from './schema.ts';
import type { Site } from './site.ts';

const RETRY_MS = 30_000;
/** How long the newest image of a name stays the newest to us. */
const IMAGE_MS = 3_600_000;

interface Shelf {
  /** false: EC2 has not told yet. */
  known: boolean;
  types: readonly MachineType[];
  architectures: ReadonlyMap<string, Architecture>;
  /** Why there is nothing on it, or less than was asked for. */
  complaint: string | null;
}

export interface CatalogueDeps {
  clock: Clock;
  logger: Logger;
  config: Config;
  prices(): PriceTable;
  regions: ReadonlyMap<string, Ec2Region>;
  sites: ReadonlyMap<string, Site>;
  onChange(): void;
}

/** What is for sale where, of what the settings list, and which image and subnet it is started with. */
export class Catalogue {
  readonly #deps: CatalogueDeps;
  readonly #shelves = new Map<string, Shelf>();
  /** Of instances that were found, by zone and name: they never change. */
  readonly #found = new Map<string, Promise<MachineType>>();
  readonly #images = new Map<string, { id: string; rootDevice: string; until: number }>();
  #retry: Timer | null = null;
  #stopped = false;

  constructor(deps: CatalogueDeps) {
    this.#deps = deps;
  }

  /** Asks for every zone once. What cannot be told is asked for again and again: a cluster sitter starts without EC2 too. */
  async start(): Promise<void> {
    this.#stopped = false;
    await this.#load([...this.#deps.sites.values()]);
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#retry = null;
  }

  types(zone: string): readonly MachineType[] {
    return this.#shelves.get(zone)?.types ?? [];
  }

  complaint(zone: string): string | null {
    return this.#shelves.get(zone)?.complaint ?? null;
  }

  /** Throws `no_capacity` for a size that is not on sale in the zone; asks again where nothing is known of the zone yet. */
  async architecture(site: Site, size: string): Promise<Architecture> {
    const known = this.#shelves.get(site.zone);
    const shelf = known?.known ? known : await this.#ask(site);
    if (shelf !== known) this.#shelves.set(site.zone, shelf);
    const architecture = shelf.architectures.get(readSize(size).instanceType);
    if (architecture) return architecture;
    const details = { zone: site.zone, type: size, why: 'not_offered' as const };
    throw new CerebroError('no_capacity', `${size} is not on sale in ${site.zone}`, { details });
  }

  /** The size of an instance that is there, whether or not it is on sale by the settings. Throws `invalid` for one that EC2 does not know. */
  async sizeOf(site: Site, size: string): Promise<MachineType> {
    const onSale = this.types(site.zone).find(({ name }) => name === size);
    if (onSale) return onSale;
    const key = `${site.zone} ${size}`;
    const known = this.#found.get(key);
    if (known) return known;
    // A fleet is mostly of few sizes, and EC2 counts the calls.
    const asked = this.#askSize(site, size);
    this.#found.set(key, asked);
    asked.catch(() => this.#found.delete(key));
    return asked;
  }

  async #askSize(site: Site, size: string): Promise<MachineType> {
    const { instanceType } = readSize(size);
    const [info] = await this.#region(site).typeInfos([instanceType]);
    if (info) return { name: size, ...roomOf(info, site) };
    throw new CerebroError('invalid', `EC2 does not say how large an ${instanceType} is`);
  }

  /** The image for a site. Throws `invalid` where there is none. */
  async image(site: Site, architecture: Architecture): Promise<{ id: string; rootDevice: string }> {
    const choice = site.image[architecture];
    if (choice === undefined)
      throw new CerebroError('invalid', `image.${architecture}: no image is named for ${site.zone}`);
    const key = `${site.region} ${architecture} ${JSON.stringify(choice)}`;
    const known = this.#images.get(key);
    const now = this.#deps.clock.now();
    if (known && known.until > now) return known;
    const images = await this.#region(site).images(
      typeof choice === 'string' ? { id: choice } : { ...choice, architecture },
    );
    const newest = images.reduce<(typeof images)[number] | undefined>(
      (best, one) => (best === undefined || (one.CreationDate ?? '') > (best.CreationDate ?? '') ? one : best),
      undefined,
    );
    const named = typeof choice === 'string' ? choice : `"${choice.name}" of ${choice.owner}`;
    if (!newest?.ImageId)
      throw new CerebroError('invalid', `image.${architecture}: there is no image ${named} in ${site.region}`);
    if (newest.Architecture !== architecture)
      throw new CerebroError(
        'invalid',
        `image.${architecture}: ${named} in ${site.region} is made for ${newest.Architecture}`,
      );
    const found = { id: newest.ImageId, rootDevice: newest.RootDeviceName ?? '/dev/xvda' };
    this.#images.set(key, { ...found, until: now + IMAGE_MS });
    return found;
  }

  /** The subnet for a site. Throws `invalid` where none is named and the zone has no default one. */
  async subnet(site: Site): Promise<string> {
    const subnet = site.subnet ?? (await this.#region(site).defaultSubnet(site.az));
    if (subnet !== undefined) return subnet;
    throw new CerebroError(
      'invalid',
      `subnet: ${site.az} has no default VPC, or no default subnet in it: name a subnet for ${site.zone}`,
    );
  }

  async #load(sites: readonly Site[]): Promise<void> {
    const failed: Site[] = [];
    await Promise.all(
      sites.map(async (site) => {
        try {
          this.#shelves.set(site.zone, await this.#ask(site));
        } catch (error) {
          const { message } = this.#region(site).explain(error, { zone: site.zone });
          this.#shelves.set(site.zone, { known: false, types: [], architectures: new Map(), complaint: message });
          failed.push(site);
        }
        const { complaint } = this.#shelves.get(site.zone) ?? {};
        if (complaint && !this.#stopped) this.#deps.logger.warn({ zone: site.zone }, complaint);
      }),
    );
    if (this.#stopped) return;
    this.#deps.onChange();
    if (failed.length === 0) return;
    this.#retry = this.#deps.clock.timer(RETRY_MS, () => {
      void this.#load(failed.filter(({ zone }) => !this.#shelves.get(zone)?.known));
    });
  }

  async #ask(site: Site): Promise<Shelf> {
    const region = this.#region(site);
    const [infos, offered] = await Promise.all([
      region.typeInfos(site.instance_types),
      region.offered(site.az, site.instance_types),
    ]);
    const types: MachineType[] = [];
    const architectures = new Map<string, Architecture>();
    const complaints: string[] = [];
    for (const name of site.instance_types) {
      const info = infos.find(({ InstanceType }) => InstanceType === name);
      const architecture = info && architectureOf(info, site);
      if (!info) complaints.push(`${site.region} has no instance type "${name}"`);
      else if (!offered.has(name)) complaints.push(`${name} is not sold in ${site.az}`);
      else if (!architecture) complaints.push(`no image is named for the architecture of ${name}`);
      else {
        architectures.set(name, architecture);
        types.push(...this.#sizes(site, name, info));
      }
    }
    const complaint = complaints.length > 0 ? `instance_types of ${site.zone}: ${complaints.join('; ')}` : null;
    return { known: true, types, architectures, complaint };
  }

  #sizes(site: Site, instanceType: string, info: InstanceTypeInfo): MachineType[] {
    const { config, prices } = this.#deps;
    const onDemand = priceOf(instanceType, site.region, prices(), config.prices);
    const { cpu, mem } = roomOf(info, site);
    if (cpu <= 0 || mem <= 0) return [];
    const size = (spot: boolean, price: number | undefined): MachineType => ({
      name: sizeName({ instanceType, spot }),
      cpu,
      mem,
      ...(price !== undefined && { price }),
    });
    const sizes: MachineType[] = [];
    if (site.spot !== 'never' && info.SupportedUsageClasses?.includes('spot'))
      sizes.push(size(true, onDemand === undefined ? undefined : round(onDemand * config.spot_share)));
    if (site.spot !== 'only' && info.SupportedUsageClasses?.includes('on-demand')) sizes.push(size(false, onDemand));
    return sizes;
  }

  #region(site: Site): Ec2Region {
    const region = this.#deps.regions.get(site.region);
    if (!region) throw new CerebroError('internal', `no client for ${site.region}`);
    return region;
  }
}

/** Cores, and MB for copies. */
function roomOf(info: InstanceTypeInfo, { reserve_mem }: Site): { cpu: number; mem: number } {
  return { cpu: info.VCpuInfo?.DefaultVCpus ?? 0, mem: (info.MemoryInfo?.SizeInMiB ?? 0) - reserve_mem };
}

/** The architecture of a type that the site has an image for. */
function architectureOf(info: InstanceTypeInfo, site: Site): Architecture | undefined {
  const supported: readonly string[] = info.ProcessorInfo?.SupportedArchitectures ?? [];
  return (['x86_64', 'arm64'] as const).find((one) => supported.includes(one) && site.image[one] !== undefined);
}
