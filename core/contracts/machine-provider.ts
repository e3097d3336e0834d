import type { Finding } from '../model/finding.ts';
import type { MachineLogin } from '../model/machine-login.ts';
import type { MachineType } from '../model/plan.ts';
import type { Progress } from '../model/progress.ts';
import type { TaskDefinition } from '../model/task.ts';
import type { TlsIdentity } from '../model/tls-identity.ts';
import type { Remote } from './remote.ts';

/** What a machine is ordered with. Everything that its sitter needs to know is here, so that `create` can be repeated. */
export interface MachineOrder {
  clusterId: string;
  machineId: string;
  zone: string;
  type: MachineType;
  /** The idempotency token: one machine for one intent, however often and however late it is asked for. */
  intent: string;
  /**
   * The bearer token of the machine's sitter, which it takes from its own host alone: `admin.token` in its data folder. Secret, and the
   * same each time the order is asked for: a provider may derive from it what must be so too, as EC2's does the SSH host key.
   */
  token: string;
  /**
   * What the sitter proves itself with: `identity.json` in its data folder, mode 0600, there before it starts. Each time the order is
   * asked for again it is another one, as good as the last. A provider that deploys the sitter later asks the service `identities`.
   */
  identity: TlsIdentity;
}

export interface Instance {
  /** The provider's own name for it. */
  ref: string;
  clusterId: string;
  machineId: string;
  zone: string;
  intent: string;
  state: 'pending' | 'running' | 'stopped' | 'gone';
  /** Where people and DNS find it; null until known. */
  address: string | null;
  /** The machine sitter's base URL, https://ADDRESS:PORT; null until known. */
  endpoint: string | null;
  /** What the provider knows that bodes ill, in a sentence: a spot notice, a failed status check. The machine is emptied. */
  trouble?: string | null;
}

/** An instance as `survey` finds it: of whichever cluster, with its size. */
export interface FoundMachine extends Instance {
  type: MachineType;
}

/** What there is of machines, and where nobody could look: a sentence for each host, region or zone. */
export interface FleetFound {
  machines: FoundMachine[];
  problems: string[];
}

/**
 * The `details` of a `no_capacity` error: nothing was made, and asking for the same again soon is in vain. Another size of the
 * zone, or another zone, may do.
 */
export interface NoCapacity {
  zone: string;
  /** The name of the size that was ordered. */
  type: string;
  /** sold_out: the provider has none just now. quota: the account may not have more. not_offered: never in this zone. */
  why: 'sold_out' | 'quota' | 'not_offered';
}

/** What a provider found out about its own working: `cerebro doctor --provider NAME` prints it. */
export interface ProviderReport {
  findings: Finding[];
  /** Texts to copy, as they are: the least rights that its credentials need. */
  texts: { title: string; text: string }[];
}

/** Something that only this provider can do to its machines, offered to people by name. */
export interface ProviderAction {
  description: string;
  run(machineId: string): Promise<string>;
}

/**
 * Sells machines in zones called `NAME-…`. Every implementation passes `test/suites/machine-provider-suite.ts`.
 *
 * - `create` is idempotent by `order.intent`; a lost answer is asked for again. It throws `no_capacity` with a `NoCapacity` where
 *   there is none of that size now. An instance of that order that has ended already is answered as `gone`; there is never a second.
 * - `describe` lists only what bears our cluster's tag; an instance that was ended may be listed as `gone` or not at all.
 * - `destroy` is idempotent, ends only what bears our tag, and resolves when nothing of it can run any more.
 */
export interface MachineProvider {
  /** The first part of its zones' names. */
  readonly name: string;
  start(): Promise<void>;
  /** Lets go without touching the machines. */
  stop(): Promise<void>;
  /** The sizes on sale in a zone; empty when it does not serve it. */
  types(zone: string): readonly MachineType[];
  create(order: MachineOrder): Promise<Instance>;
  describe(clusterId: string): Promise<Instance[]>;
  destroy(clusterId: string, machineId: string): Promise<void>;
  remote(instance: { machineId: string; address: string | null }): Promise<Remote>;
  /** Called when the provider learns by itself that something changed, so that nobody has to poll for it. */
  onChange(listener: () => void): void;
  /**
   * Called with how far a machine is on its way, as often as that changes: for people who wait for it. It may say the same again, and
   * is no news: nobody describes anything because of it.
   */
  onProgress?(listener: (machineId: string, progress: Progress) => void): void;
  /** Puts a certificate onto a machine without its sitter's help, for one whose own has ended; the sitter takes up the file by itself. */
  renewIdentity?(machineId: string, identity: TlsIdentity): Promise<void>;
  /**
   * Everything that bears the tag of any cluster, ours or another, and is not gone; nothing without a tag. It changes nothing. Asked
   * only when a person wants to see or adopt a fleet (`cerebro adopt`), since it may take as long as it takes to look at each host.
   * A host that does not answer keeps nobody from seeing the others: it is one of the `problems`.
   */
  survey?(): Promise<FleetFound>;
  /**
   * The tasks of a machine that `survey` found, as they were defined, read without asking its sitter, which may be another cluster's.
   * Throws where that cannot be told for sure: what is not known to run there would be ended as what no record knows.
   */
  readTasks?(found: FoundMachine): Promise<TaskDefinition[]>;
  /**
   * Called when this cluster is about to adopt a machine that `survey` found, before anything else is asked of it. Touches nothing on
   * the machine. Idempotent. Throws `conflict` where it has become somebody else's since: it is not adopted then.
   */
  takeOver?(found: FoundMachine): Promise<void>;
  /** How a person gets onto a machine; `cerebro login`. */
  login?(instance: { machineId: string; address: string | null }): Promise<MachineLogin>;
  /** Stops every machine of the cluster in order, keeping it for the next start (`cerebro down`), where machines are the host's own. */
  suspend?(clusterId: string): Promise<void>;
  actions?: Record<string, ProviderAction>;
  /** Why it sells nothing in a zone that it should serve, in one sentence; null where it does. For people who wait for a machine. */
  complaint?(zone: string): string | null;
  /** Looks at credentials, rights and settings without changing anything. Called without `start`. */
  doctor?(): Promise<ProviderReport>;
}
