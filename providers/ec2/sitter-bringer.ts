import type { Logger } from '../../core/contracts/logger.ts';
import type { Remote } from '../../core/contracts/remote.ts';
import type { MachineLogin } from '../../core/model/machine-login.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { putIdentity, readSitterTasks, type SitterPlace } from '../../recipes/machine-sitter/found-sitter.ts';
import type { MachineSitterDeployment } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import { defaultFolder } from '../../recipes/machine-sitter/target-hands.ts';
import type { SshTarget } from '../remotes/ssh-target.ts';
import type { Fleet } from './fleet.ts';
import type { Config } from './schema.ts';

export interface SitterServices {
  logger: Logger;
  ssh: {
    remote(target: SshTarget): Remote;
    login(machineId: string, target: SshTarget): Promise<MachineLogin>;
    close(): void;
  };
  /** Puts machine sitters onto machines; null: the images bring one. */
  sitters: Pick<MachineSitterDeployment, 'deploy'> | null;
  /** Resolves when the sitter of a machine answers at its endpoint. */
  greet(machineId: string, endpoint: string): Promise<void>;
}

/** Brings machine sitters onto instances that run. */
export class SitterBringer {
  readonly #deps: SitterServices & { fleet: Fleet; settings: Config['sitter'] };

  constructor(deps: SitterServices & { fleet: Fleet; settings: Config['sitter'] }) {
    this.#deps = deps;
  }

  /** Sees to it that a sitter answers: one that does, after a restart of ours, is left alone. */
  async prepare(
    machineId: string,
    endpoint: string | null,
    signal: AbortSignal,
    progress: (step: string, percent: number | null) => void,
  ): Promise<void> {
    if (this.#deps.sitters === null) return;
    if (endpoint !== null && (await this.#answers(machineId, endpoint))) return;
    await this.deploy(machineId, signal, progress);
  }

  /** Throws what SSH or the deployment say, one sentence. */
  async deploy(
    machineId: string,
    signal: AbortSignal,
    onProgress: (step: string, percent: number | null) => void = () => undefined,
  ): Promise<void> {
    const { sitters, ssh, logger, fleet, settings } = this.#deps;
    const found = fleet.last(machineId);
    const target = fleet.target(machineId, found?.instance.address ?? null);
    if (!found || sitters === null) return;
    const { site } = found;
    const remote = ssh.remote(target);
    try {
      await sitters.deploy({
        remote,
        machineId,
        address: target.address,
        port: site.sitter_port,
        // A public address is Amazon's: the machine itself does not know of it.
        ...(site.address === 'private' && { host: target.address }),
        ...(settings.folder !== undefined && { folder: settings.folder }),
        asRoot: settings.as_root,
        service: settings.service,
        signal,
        onStep: (sentence) => logger.info({ machine: machineId }, sentence),
        onProgress,
      });
    } finally {
      await remote.close();
    }
  }

  /** Without asking the sitter. Throws where that cannot be told for sure. */
  async readTasks(machineId: string, target: SshTarget): Promise<TaskDefinition[]> {
    const remote = this.#deps.ssh.remote(target);
    try {
      return await readSitterTasks(this.#place(remote, machineId));
    } finally {
      await remote.close();
    }
  }

  /**
   * Another certificate, and then a deployment, which starts what does not run and nothing again where all is as it should be. The
   * certificate first: a deployment takes a sitter of another authority for another cluster's, which is what an adopted one is still.
   */
  async renew(machineId: string, identity: TlsIdentity, signal: AbortSignal): Promise<void> {
    const { ssh, fleet } = this.#deps;
    const remote = ssh.remote(fleet.target(machineId, null));
    try {
      await putIdentity(this.#place(remote, machineId), identity);
    } finally {
      await remote.close();
    }
    await this.deploy(machineId, signal);
  }

  #place(remote: Remote, machineId: string): SitterPlace {
    const { folder, as_root: asRoot } = this.#deps.settings;
    return { remote, machineId, data: `${folder ?? defaultFolder(asRoot)}/data`, asRoot };
  }

  async #answers(machineId: string, endpoint: string): Promise<boolean> {
    try {
      await this.#deps.greet(machineId, endpoint);
      return true;
    } catch {
      return false; // nobody is there yet, as a rule
    }
  }
}
