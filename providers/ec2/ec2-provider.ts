import { join } from 'node:path';
import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { Clock } from '../../core/contracts/clock.ts';
import type {
  FleetFound,
  FoundMachine,
  Instance,
  MachineOrder,
  MachineProvider,
  ProviderReport,
} from '../../core/contracts/machine-provider.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { ProgressListeners } from '../remotes/progress-listeners.ts';
import { Catalogue } from './catalogue.ts';
import { inspectEc2 } from './doctor.ts';
import { Ec2Region } from './ec2-region.ts';
import { Fleet } from './fleet.ts';
import { FoundInstances } from './found-instances.ts';
import { LaunchBook } from './launch-book.ts';
import { LaunchWatch } from './launch-watch.ts';
import { Launcher } from './launcher.ts';
import { machineView, pendingProgress } from './machine-view.ts';
import { Preparations } from './preparations.ts';
import type { PriceTable } from './price-table.ts';
import type { Config } from './schema.ts';
import { type Site, sitesOf } from './site.ts';
import { SitterBringer, type SitterServices } from './sitter-bringer.ts';

const NAME = 'aws';

export interface Ec2Services extends SitterServices {
  clock: Clock;
  dataDir: string;
  prices(): PriceTable;
  /** The public halves of private keys, by path, as in authorized_keys. Throws `invalid` for what is no key. */
  publicKeys(paths: readonly string[]): string[];
}

/** Machines of Amazon EC2, or of what speaks its API, in zones called `aws-` and the availability zone. */
export class Ec2Provider implements MachineProvider {
  readonly name = NAME;
  readonly #services: Ec2Services;
  readonly #sites: ReadonlyMap<string, Site>;
  readonly #regions: ReadonlyMap<string, Ec2Region>;
  readonly #catalogue: Catalogue;
  readonly #book: LaunchBook;
  readonly #launcher: Launcher;
  readonly #fleet: Fleet;
  readonly #sitters: SitterBringer;
  readonly #found: FoundInstances;
  readonly #preparations: Preparations;
  readonly #listeners = new Set<() => void>();
  readonly #progress = new ProgressListeners();
  readonly onProgress = this.#progress.add;
  readonly #creating = new Map<string, { intent: string; made: Promise<Instance> }>();
  #life = new AbortController();
  readonly #watch: LaunchWatch;

  constructor(services: Ec2Services, config: Config) {
    this.#services = services;
    const { clock, logger, dataDir, prices } = services;
    this.#sites = sitesOf(config, NAME);
    this.#regions = new Map(
      Object.keys(config.regions).map((region) => [region, new Ec2Region(region, config, clock)]),
    );
    const [sites, regions, onChange] = [this.#sites, this.#regions, () => this.#tell()];
    this.#catalogue = new Catalogue({ clock, logger, config, prices, regions, sites, onChange });
    this.#book = new LaunchBook(join(dataDir, 'ec2'), logger);
    this.#launcher = new Launcher({
      clock,
      api: config.api,
      catalogue: this.#catalogue,
      book: this.#book,
      authorizedKeys: (site) => services.publicKeys(site.ssh.keys),
      signal: () => this.#life.signal,
    });
    this.#fleet = new Fleet({ clock, logger, config, regions, sites, book: this.#book, onChange });
    this.#watch = new LaunchWatch({
      clock,
      logger,
      book: this.#book,
      fleet: this.#fleet,
      pollMs: config.api.poll * 1000,
      look: (clusterId) => this.describe(clusterId),
    });
    this.#sitters = new SitterBringer({ ...services, fleet: this.#fleet, settings: config.sitter });
    const found = { catalogue: this.#catalogue, fleet: this.#fleet, sitters: this.#sitters };
    this.#found = new FoundInstances({ regions, sites, ...found });
    this.#preparations = new Preparations({
      clock,
      logger,
      prepare: ({ machineId }, { endpoint }, signal, progress) =>
        this.#sitters.prepare(machineId, endpoint, signal, progress),
      onProgress: this.#progress.tell,
      onChange: (machineId, ready) => {
        if (ready) this.#book.remove(machineId);
        this.#tell();
      },
    });
  }

  async start(): Promise<void> {
    this.#life = new AbortController();
    for (const region of this.#regions.values()) region.open();
    this.#preparations.start();
    this.#book.open();
    await this.#catalogue.start();
    this.#watch.look(this.#life.signal);
  }

  async stop(): Promise<void> {
    this.#life.abort();
    this.#catalogue.stop();
    for (const region of this.#regions.values()) region.close();
    await this.#preparations.stop();
    await this.#watch.stop();
    await Promise.allSettled([...this.#creating.values()].map(({ made }) => made));
    this.#services.ssh.close();
    this.#book.close();
  }

  types(zone: string): readonly MachineType[] {
    return this.#catalogue.types(zone);
  }

  complaint(zone: string): string | null {
    return this.#catalogue.complaint(zone);
  }

  /** One machine for one intent, by whoever and however often it is asked for. */
  create(order: MachineOrder): Promise<Instance> {
    const { machineId, intent } = order;
    const running = this.#creating.get(machineId);
    if (running?.intent === intent) return running.made;
    const made = (running?.made.catch(() => undefined) ?? Promise.resolve())
      .then(() => this.#create(order))
      .finally(() => {
        if (this.#creating.get(machineId)?.made === made) this.#creating.delete(machineId);
      });
    this.#creating.set(machineId, { intent, made });
    return made;
  }

  async describe(clusterId: string): Promise<Instance[]> {
    const instances = await this.#fleet.describe(clusterId);
    for (const instance of instances) this.#follow(instance);
    return instances.map((instance) => {
      const trouble = this.#preparations.trouble(instance.machineId);
      return trouble === null || instance.state !== 'running' ? instance : { ...instance, trouble };
    });
  }

  async destroy(clusterId: string, machineId: string): Promise<void> {
    await this.#preparations.drop(machineId);
    await this.#creating.get(machineId)?.made.catch(() => undefined);
    await this.#launcher.end(this.#fleet.regionsOf(machineId), clusterId, machineId);
    this.#fleet.forget(clusterId, machineId);
    this.#tell();
  }

  async remote({ machineId, address }: { machineId: string; address: string | null }): Promise<Remote> {
    return this.#services.ssh.remote(this.#fleet.target(machineId, address));
  }

  async login({ machineId, address }: { machineId: string; address: string | null }): Promise<MachineLogin> {
    return this.#services.ssh.login(machineId, this.#fleet.target(machineId, address));
  }

  renewIdentity(machineId: string, identity: TlsIdentity): Promise<void> {
    return this.#sitters.renew(machineId, identity, this.#life.signal);
  }

  survey(): Promise<FleetFound> {
    return this.#found.survey();
  }

  readTasks(found: FoundMachine): Promise<TaskDefinition[]> {
    return this.#found.readTasks(found);
  }

  async takeOver(found: FoundMachine): Promise<void> {
    this.#found.takeOver(found);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  doctor(): Promise<ProviderReport> {
    return inspectEc2({
      sites: this.#sites,
      regions: this.#regions,
      catalogue: this.#catalogue,
      publicKeys: this.#services.publicKeys,
    });
  }

  async #create(order: MachineOrder): Promise<Instance> {
    const site = this.#sites.get(order.zone);
    const region = site && this.#regions.get(site.region);
    if (!site || !region) throw new CerebroError('invalid', `${order.zone} is not in the settings of provider-ec2`);
    let made: Ec2Instance;
    try {
      made = await this.#launcher.launch(region, site, order);
    } catch (error) {
      throw region.explain(error, { zone: order.zone, type: order.type.name });
    }
    const instance = machineView(made, site);
    if (!instance) throw new CerebroError('internal', `EC2 has made ${made.InstanceId} without its tags`);
    this.#fleet.made(region.name, made);
    this.#watch.look(this.#life.signal);
    this.#tell();
    return instance;
  }

  /** Takes a machine that is on its way a step further, or out of the book. */
  #follow(instance: Instance): void {
    const launch = this.#book.get(instance.machineId);
    if (launch?.order.intent !== instance.intent) return;
    if (instance.state === 'gone') this.#book.remove(instance.machineId);
    else if (instance.state === 'running' && instance.address !== null) this.#preparations.want(launch.order, instance);
    else if (instance.state === 'pending') this.#progress.tell(instance.machineId, pendingProgress(instance));
  }

  #tell(): void {
    if (this.#life.signal.aborted) return;
    for (const listener of this.#listeners) listener();
  }
}
