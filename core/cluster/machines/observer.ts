import type { Clock } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { Instance, MachineProvider } from '../../contracts/machine-provider.ts';
import { providerWord } from '../../decide/words/provider-word.ts';
import { messageOf } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { MachineMessage } from '../../model/machine-stream.ts';
import type { MachineContact, Orphan } from '../../model/plan.ts';
import type { Failure } from '../../model/progress.ts';
import type { TaskStatus } from '../../model/task.ts';
import type { HostVitals } from '../../model/vitals.ts';
import { providerOf } from '../../model/zone.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import { MachineEvents } from './machine-events.ts';
import { MachineLine } from './machine-line.ts';
import type { MachineLink } from './machine-link.ts';
import { ProviderWatch } from './provider-watch.ts';

/** A provider that answers later than this holds up neither a start nor a stop. */
const PATIENCE_MS = 3000;
/** How often a machine is told that tasks which may not run twice may go on. */
const LEASH_MS = 1000;

export interface ObserverDeps {
  records: ClusterRecords;
  client: MachineLink;
  providers: readonly MachineProvider[];
  clock: Clock;
  logger: Logger;
  /** A machine that was silent for so long was away. */
  unreachableAfterMs: number;
  /** Something was learnt that a plan may depend on. */
  onNews(): void;
  /** Something changed that only a page shows. */
  onVitals(): void;
  /** Why a machine sitter was not heard at the last try; null: it is heard. */
  onLine?(machineId: string, failure: Failure | null): void;
  /** Whether our word keeps tasks going that may not run twice: a successor may have begun them elsewhere. */
  leads(): boolean;
}

interface Contact extends MachineContact {
  heardAt: number;
  backSince?: number;
  connected: boolean;
  providerSays: MachineContact['providerSays'];
  trouble: MachineContact['trouble'];
  /** When it was last told that its tasks may go on. */
  leashedAt: number;
  tasks: Map<string, TaskStatus> | null;
  /** How the whole machine was doing when it last said so. */
  host: HostVitals | null;
}

/**
 * Learns what is going on: one stream for each machine, and the providers' word. What it learns is kept in memory and folded into
 * the next snapshot; only the machines' events are written, each once, together with the cursor that says how far they were read.
 */
export class Observer {
  readonly contacts = new Map<string, Contact>();
  /** By machine id. */
  readonly orphans = new Map<string, Orphan>();
  readonly #deps: ObserverDeps;
  readonly #lines = new Map<string, { endpoint: string; line: MachineLine }>();
  readonly #events: MachineEvents;
  readonly #watches: readonly ProviderWatch[];
  #stopped = false;

  constructor(deps: ObserverDeps) {
    this.#deps = deps;
    const { providers, clock } = deps;
    this.#events = new MachineEvents(deps);
    this.#watches = providers.map(
      (provider) => new ProviderWatch({ provider, clock, look: () => this.#describe(provider) }),
    );
  }

  async start(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.start(PATIENCE_MS)));
    this.follow();
  }

  /** Asks all providers anew. */
  async describe(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.askNow(PATIENCE_MS)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#events.stop();
    for (const { line } of this.#lines.values()) line.end();
    await Promise.all(this.#watches.map((watch) => watch.stop(PATIENCE_MS)));
  }

  /** Opens a line to every machine that has an address, and drops those of machines that are gone. */
  follow(): void {
    if (this.#stopped) return;
    const { machines } = this.#deps.records;
    for (const [id, { endpoint, line }] of this.#lines) {
      const machine = machines.get(id);
      if (machine?.endpoint === endpoint && machine.state !== 'lost') continue;
      line.end();
      this.#lines.delete(id);
    }
    for (const machine of machines.values()) {
      if (machine.endpoint === null || machine.state === 'lost' || this.#lines.has(machine.id)) continue;
      this.#open(machine, machine.endpoint);
    }
    for (const id of this.contacts.keys()) {
      if (machines.has(id)) continue;
      this.contacts.delete(id);
      this.#deps.client.forget(id);
    }
  }

  /** Asks a provider for its machines and takes up what it says: addresses, and which are gone. */
  async #describe(provider: MachineProvider): Promise<void> {
    const { records, clock, logger, onNews } = this.#deps;
    // What was confirmed only while the provider was making its list need not be on it; and a list can be old when it is read.
    const askedAt = clock.now();
    const confirmed = new Set(this.#machinesOf(provider).flatMap(({ id, ref }) => (ref === null ? [] : id)));
    let instances: Instance[];
    try {
      instances = await provider.describe(records.clusterId);
    } catch (error) {
      logger.warn({ provider: provider.name, err: error }, 'the provider does not answer');
      for (const machine of this.#machinesOf(provider)) this.#contact(machine.id).providerSays = 'unknown';
      return;
    }
    if (this.#stopped) return;
    const byMachine = new Map(instances.map((instance) => [instance.machineId, instance]));
    let news = false;
    for (const machine of this.#machinesOf(provider)) {
      const instance = byMachine.get(machine.id);
      const contact = this.#contact(machine.id);
      const { connected } = contact;
      const says =
        !instance && !confirmed.has(machine.id) ? 'unknown' : providerWord(machine, instance, { askedAt, connected });
      const sentence = instance?.trouble ?? null;
      // Said again it is news as well: of a machine that was not ready yet when it was said before, it did not count.
      if (contact.providerSays !== says || sentence !== null || contact.trouble !== null) news = true;
      contact.providerSays = says;
      contact.trouble = sentence === null ? null : { sentence, askedAt };
      if (instance && (instance.endpoint !== machine.endpoint || instance.address !== machine.address)) {
        news = true;
        await this.#takeAddress(machine.id, instance);
      }
    }
    if (this.#noteOrphans(provider, instances)) news = true;
    if (news && !this.#stopped) {
      this.follow();
      onNews();
    }
  }

  /** Instances that bear our tag and that no record knows: an order whose record was lost with its store. Seen again and again, they are ended. */
  #noteOrphans(provider: MachineProvider, instances: readonly Instance[]): boolean {
    const { records, clock } = this.#deps;
    const found = new Set<string>();
    let fresh = false;
    for (const { machineId, zone, state, ref } of instances) {
      if (state === 'gone' || records.machines.has(machineId)) continue;
      found.add(machineId);
      if (this.orphans.has(machineId)) continue;
      this.orphans.set(machineId, { machineId, provider: provider.name, zone, ref, since: clock.now() });
      fresh = true;
    }
    for (const [id, orphan] of this.orphans)
      if (orphan.provider === provider.name && !found.has(id)) this.orphans.delete(id);
    return fresh;
  }

  async #takeAddress(id: string, instance: Instance): Promise<void> {
    const { records, logger } = this.#deps;
    try {
      await records.transact(() => {
        const machine = records.machines.get(id);
        if (!machine) return null;
        const { ref, address, endpoint } = instance;
        return { write: [{ put: keys.machine(id), value: { ...machine, ref, address, endpoint } }], events: [] };
      });
    } catch (error) {
      logger.warn({ machine: id, err: error }, 'an address could not be recorded; it is tried again');
    }
  }

  #machinesOf(provider: MachineProvider): MachineRecord[] {
    return [...this.#deps.records.machines.values()].filter((machine) => providerOf(machine.zone) === provider.name);
  }

  #contact(id: string): Contact {
    let contact = this.contacts.get(id);
    if (!contact) {
      contact = {
        heardAt: 0,
        connected: false,
        providerSays: 'unknown',
        trouble: null,
        leashedAt: 0,
        tasks: null,
        host: null,
      };
      this.contacts.set(id, contact);
    }
    return contact;
  }

  #open(machine: MachineRecord, endpoint: string): void {
    const { records, client, clock, logger, onNews } = this.#deps;
    const { id } = machine;
    const line = new MachineLine({
      machineId: id,
      clock,
      logger,
      open: (signal) => client.watch(records.machines.get(id) ?? machine, records.cursors.get(id) ?? 0, signal),
      onMessage: (message) => this.#take(id, message),
      onFailure: (failure) => this.#deps.onLine?.(id, failure),
      onBroken: () => {
        const contact = this.contacts.get(id);
        if (!contact?.connected) return;
        contact.connected = false;
        onNews();
      },
    });
    this.#lines.set(id, { endpoint, line });
    void line.keep();
  }

  #take(id: string, message: MachineMessage): void {
    const contact = this.#contact(id);
    const now = this.#deps.clock.now();
    if (contact.heardAt > 0 && now - contact.heardAt >= this.#deps.unreachableAfterMs) contact.backSince = now;
    contact.heardAt = now;
    this.#leash(id, contact);
    switch (message.type) {
      case 'hello':
        contact.connected = true;
        this.#deps.onLine?.(id, null);
        contact.tasks = new Map(message.tasks.map((task) => [task.id, task]));
        this.#deps.onNews();
        return;
      case 'task': {
        const before = contact.tasks?.get(message.task.id);
        contact.tasks?.set(message.task.id, message.task);
        const same =
          before &&
          before.phase === message.task.phase &&
          before.version === message.task.version &&
          before.run === message.task.run &&
          before.flapping === message.task.flapping &&
          before.health?.state === message.task.health?.state;
        if (same) this.#deps.onVitals();
        else this.#deps.onNews();
        return;
      }
      case 'task-gone':
        contact.tasks?.delete(message.id);
        this.#deps.onNews();
        return;
      case 'event':
        this.#events.add(id, message.event);
        return;
      case 'vitals':
        contact.host = message.host;
        this.#deps.onVitals();
        return;
      case 'beat':
        return;
    }
  }

  /**
   * Answers a machine that was heard, where it has tasks that may not run twice. Only then: a machine that we do not hear will be
   * given up, and must not go on because it hears us.
   */
  #leash(id: string, contact: Contact): void {
    const { records, client, logger } = this.#deps;
    if (contact.heardAt - contact.leashedAt < LEASH_MS || !this.#deps.leads()) return;
    const machine = records.machines.get(id);
    if (!machine || machine.state === 'lost' || !records.singletonsOn(id)) return;
    contact.leashedAt = contact.heardAt;
    client
      .leash(machine)
      .catch((error: unknown) =>
        logger.debug({ machine: id, reason: messageOf(error) }, 'a machine did not take our word'),
      );
  }
}
