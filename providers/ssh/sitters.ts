import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import type { SshRemote } from '../remotes/ssh-remote.ts';

/** A claimed host, as those who bring a machine sitter to it see it. */
export interface HostHands {
  machineId: string;
  address: string;
  /** Works in our folder there. */
  remote: SshRemote;
  /** The same, with the machine's mark and these variables in the environment of all that it starts. */
  marked(env: Readonly<Record<string, string>>): SshRemote;
}

/** What is done now, and how much of that (0 to 100; null: nobody can tell). */
export type StepProgress = (step: string, percent: number | null) => void;

/** A way to have a machine sitter on a host. Everything may be done again. */
export interface Sitters {
  /** Once, before the first start. */
  prepare(hands: HostHands, order: Pick<MachineOrder, 'token' | 'identity'>): Promise<void>;
  /** Where the sitter serves the cluster sitter; null: none runs. */
  url(hands: HostHands): Promise<string | null>;
  /** May take as long as it takes to bring the program there, and resolves before or after the sitter answers. */
  start(hands: HostHands, signal: AbortSignal, progress: StepProgress): Promise<void>;
  /** Ends it and its tasks, as far as that can be done in order; what bears the machine's mark is killed afterwards. */
  end(hands: HostHands): Promise<void>;
  renew(hands: HostHands, identity: TlsIdentity): Promise<void>;
  /** The tasks of the sitter as they are defined, without asking it. Throws where that cannot be told for sure. */
  readTasks(hands: HostHands): Promise<TaskDefinition[]>;
}
