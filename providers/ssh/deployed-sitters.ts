import type { Logger } from '../../core/contracts/logger.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { noSitter, putIdentity, readSitterTasks, type SitterPlace } from '../../recipes/machine-sitter/found-sitter.ts';
import type { MachineSitterDeployment, SitterTarget } from '../../recipes/machine-sitter/machine-sitter-deployment.ts';
import type { Config } from './schema.ts';
import { sitterUrl } from './sitter-url.ts';
import type { HostHands, Sitters, StepProgress } from './sitters.ts';

/** In our folder on the host. */
export const SITTER_FOLDER = 'sitter';

/** Brings Cerebro and its Node runtime to the host: that needs nothing but SSH and Linux. */
export class DeployedSitters implements Sitters {
  readonly #deployment: Pick<MachineSitterDeployment, 'deploy' | 'wipe'>;
  readonly #settings: Config['sitter'];
  readonly #asRoot: boolean;
  readonly #logger: Logger;

  constructor(deps: {
    deployment: Pick<MachineSitterDeployment, 'deploy' | 'wipe'>;
    settings: Config['sitter'];
    asRoot: boolean;
    logger: Logger;
  }) {
    this.#deployment = deps.deployment;
    this.#settings = deps.settings;
    this.#asRoot = deps.asRoot;
    this.#logger = deps.logger;
  }

  /** The deployment gets a certificate by itself, each time. */
  async prepare(): Promise<void> {
    await Promise.resolve();
  }

  url({ remote, address }: HostHands): Promise<string | null> {
    return sitterUrl(remote, address, { folder: `${SITTER_FOLDER}/data`, asRoot: this.#asRoot });
  }

  async start(hands: HostHands, signal: AbortSignal, onProgress: StepProgress): Promise<void> {
    const home = `${(await hands.remote.script('pwd', { name: 'find our folder' })).trim()}/home`;
    const remote = hands.marked({ CEREBRO_HOME: home, CEREBRO_ADDRESS: hands.address });
    const onStep = (sentence: string): void => this.#logger.info({ machine: hands.machineId }, sentence);
    // A transfer does not look at the signal: it ends with its remote.
    const abort = (): void => void remote.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await this.#deployment.deploy({ ...this.#target({ ...hands, remote }), signal, onStep, onProgress });
    } finally {
      signal.removeEventListener('abort', abort);
      await remote.close();
    }
  }

  async end(hands: HostHands): Promise<void> {
    await this.#deployment.wipe(this.#target(hands));
  }

  async renew(hands: HostHands, identity: TlsIdentity): Promise<void> {
    const place = this.#place(hands);
    if (!(await putIdentity(place, identity))) throw noSitter(place);
  }

  readTasks(hands: HostHands): Promise<TaskDefinition[]> {
    return readSitterTasks(this.#place(hands));
  }

  #place({ remote, machineId }: HostHands): SitterPlace {
    return { remote, machineId, data: `${SITTER_FOLDER}/data`, asRoot: this.#asRoot };
  }

  #target({ remote, machineId, address }: HostHands): SitterTarget {
    const { host, port, service } = this.#settings;
    return {
      remote,
      machineId,
      address,
      folder: SITTER_FOLDER,
      asRoot: this.#asRoot,
      service,
      ...(port !== 0 && { port }),
      ...(host !== undefined && { host }),
    };
  }
}
