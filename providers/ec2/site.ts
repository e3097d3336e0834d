import { CerebroError } from '../../core/errors.ts';
import type { Config, ImageChoice, Offer } from './schema.ts';

/** Debian's own account. Its images have cloud-init, and SSH for the user `admin`. */
const DEBIAN = '136693071363';
const DEFAULT_IMAGES: Record<'x86_64' | 'arm64', ImageChoice> = {
  x86_64: { name: 'debian-12-amd64-*', owner: DEBIAN },
  arm64: { name: 'debian-12-arm64-*', owner: DEBIAN },
};

/** Everything that is said about one availability zone, with nothing left open. */
export interface Site
  extends Omit<Required<Offer>, 'key_pair' | 'subnet' | 'instance_profile' | 'spot_max_price' | 'user_data' | 'ssh'> {
  /** `aws-us-west-2a` */
  zone: string;
  /** `us-west-2a` */
  az: string;
  region: string;
  key_pair: string | undefined;
  subnet: string | undefined;
  instance_profile: string | undefined;
  spot_max_price: number | undefined;
  user_data: string | undefined;
  ssh: NonNullable<Offer['ssh']>;
}

/** The sites of a configuration, by zone. Throws `invalid` for a zone that two regions name. */
export function sitesOf(config: Config, provider: string): Map<string, Site> {
  const sites = new Map<string, Site>();
  for (const [region, ofRegion] of Object.entries(config.regions)) {
    for (const [az, ofZone] of Object.entries(ofRegion.zones)) {
      const zone = `${provider}-${az}`;
      if (!az.startsWith(region))
        throw new CerebroError(
          'invalid',
          `regions.${region}.zones.${az}: the zones of ${region} begin with its name, like ${region}a`,
        );
      if (sites.has(zone)) throw new CerebroError('invalid', `${az} is named in two regions`);
      sites.set(zone, siteOf(zone, az, region, [ofZone, ofRegion, config]));
    }
  }
  return sites;
}

function siteOf(zone: string, az: string, region: string, offers: readonly Offer[]): Site {
  const first = <K extends keyof Offer>(key: K): Offer[K] =>
    offers.map((offer) => offer[key]).find((value) => value !== undefined);
  return {
    zone,
    az,
    region,
    image: { ...DEFAULT_IMAGES, ...first('image') },
    instance_types: first('instance_types') ?? ['t3.small', 't3.medium', 'm6i.large', 'm6i.xlarge'],
    reserve_mem: first('reserve_mem') ?? 256,
    key_pair: first('key_pair'),
    security_groups: first('security_groups') ?? [],
    subnet: first('subnet'),
    instance_profile: first('instance_profile'),
    volume: first('volume') ?? { size: 16, type: 'gp3', encrypted: false },
    spot: first('spot') ?? 'never',
    spot_max_price: first('spot_max_price'),
    address: first('address') ?? 'public',
    tags: first('tags') ?? {},
    user_data: first('user_data'),
    ssh: first('ssh') ?? { user: 'admin', port: 22, keys: [], connect_timeout: 15 },
    sitter_port: first('sitter_port') ?? 40_000,
  };
}
