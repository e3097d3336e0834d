import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Instance, MachineOrder } from '../../core/contracts/machine-provider.ts';
import type { ProcessTable } from '../../core/contracts/process-table.ts';
import { messageOf } from '../../core/errors.ts';
import type { Failure, Progress } from '../../core/model/progress.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import { type InstanceFile, makeMachineFolder, readInstance, writeIdentity, writeInstance } from './machine-folder.ts';
import { killMarked, MACHINE_MARKER } from './machine-processes.ts';
import { ownAddress, SHARED_ADDRESS } from './own-address.ts';
import { SitterInFolder } from './sitter-in-folder.ts';

const LOOK_MS = 250;
const SUSPEND_DEADLINE_MS = 60_000;

export interface LocalMachineServices {
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  selfCommand: readonly string[];
  maxRestartsPerMinute: number;
  ownAddresses: boolean;
  onChange(): void;
  onProgress(machineId: string, progress: Progress): void;
}

/**
 * One "machine" of this host: a folder, a machine sitter in it, and whatever that runs. Like an init it starts a sitter that
 * died again; like a power switch it ends everything at once. The sitter lives on when this process does not.
 */
export class LocalMachine {
  readonly id: string;
  readonly folder: string;
  #file: InstanceFile;
  #child: ChildProcess | null = null;
  #timer: Timer | null = null;
  #deaths: number[] = [];
  /** Where the words of the sitter that was started last begin in its log. */
  #said = 0;
  /** Why its sitter does not run; null: it does, or has not been started yet. */
  #failure: Failure | null = null;
  #wasRunning = false;
  #watching = false;
  readonly #sitter: SitterInFolder;
  readonly #services: LocalMachineServices;

  private constructor(folder: string, file: InstanceFile, services: LocalMachineServices) {
    this.folder = folder;
    this.id = file.machineId;
    this.#file = file;
    this.#sitter = new SitterInFolder(folder, services.processes);
    this.#services = services;
  }

  /** Throws `conflict` when another order has made a machine of that name. */
  static create(folder: string, order: MachineOrder, services: LocalMachineServices): LocalMachine {
    return new LocalMachine(folder, makeMachineFolder(folder, order), services);
  }

  /** undefined: there is no machine in that folder. */
  static load(folder: string, services: LocalMachineServices): LocalMachine | undefined {
    const file = readInstance(folder);
    return file && new LocalMachine(folder, file, services);
  }

  get clusterId(): string {
    return this.#file.clusterId;
  }

  get intent(): string {
    return this.#file.intent;
  }

  /** As it was ordered; files of older machines do not say how much that is. */
  get type(): { name: string; cpu: number | null; mem: number | null } {
    const { type: name, cpu, mem } = this.#file;
    return { name, cpu, mem };
  }

  instance(): Instance {
    const { clusterId, machineId, zone, intent, power } = this.#file;
    const url = this.#sitter.running?.url ?? null;
    const state = power === 'off' ? 'stopped' : url === null ? 'pending' : 'running';
    return {
      ref: machineId,
      clusterId,
      machineId,
      zone,
      intent,
      state,
      address: this.#address,
      // The same port: plain HTTP is for this host's people, and TLS for the cluster sitter.
      endpoint: (url ?? this.#sitter.lastUrl)?.replace(/^http:/, 'https:') ?? null,
    };
  }

  /** Sees to it that a sitter runs: adopts the one that does, or starts one, now and whenever it dies. */
  watch(): void {
    this.#watching = true;
    this.#look();
  }

  /** Lets go; the sitter runs on. */
  unwatch(): void {
    this.#watching = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#child?.removeAllListeners();
    this.#child = null;
  }

  /** Ends everything that belongs to this machine, at once, without asking. */
  async powerOff(reason: string): Promise<void> {
    this.#file = { ...this.#file, power: 'off', reason };
    writeInstance(this.folder, this.#file);
    this.unwatch();
    await this.#killAll();
    this.#services.onChange();
  }

  async remove(): Promise<void> {
    await this.powerOff('ended');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The sitter takes the file up by itself. */
  renewIdentity(identity: TlsIdentity): void {
    writeIdentity(this.folder, identity);
  }

  /** Has the sitter end its tasks in order and go, until `watch` starts it again. */
  async suspend(): Promise<void> {
    this.unwatch();
    const sitter = this.#sitter.running;
    if (sitter && this.#file.power === 'on') {
      const token = readFileSync(join(this.folder, 'admin.token'), 'utf8').trim();
      try {
        const answer = await fetch(`${sitter.url}/api/v1/suspend`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(SUSPEND_DEADLINE_MS),
        });
        await answer.arrayBuffer();
      } catch (error) {
        this.#services.logger.warn(
          { machine: this.id, err: error },
          'a machine sitter did not stop in order; it is ended',
        );
      }
    }
    await this.#killAll();
  }

  #look(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (!this.#watching || this.#file.power === 'off') return;
    const file = this.#onDisk();
    if (file === undefined) {
      this.#giveUp('its folder is gone');
      return;
    }
    if (file?.power === 'off') {
      // By another cluster sitter that shares the folder.
      this.#file = file;
      this.unwatch();
      this.#services.onChange();
      return;
    }
    const running = this.#sitter.running !== undefined;
    if (running !== this.#wasRunning) {
      this.#wasRunning = running;
      if (running) this.#failure = null;
      this.#services.onChange();
    }
    if (!running && this.#child === null && !this.#sitter.boots) {
      try {
        this.#boot();
      } catch (error) {
        // A full disk, or no more descriptors: it is tried again, and counts as a death of the sitter.
        this.#services.logger.error({ machine: this.id, err: error }, 'a machine sitter could not be started');
        this.#failed(`its machine sitter could not be started: ${messageOf(error)}`);
      }
    }
    if (!this.#watching) return;
    this.#timer = this.#services.clock.timer(
      this.#child === null || !running ? (running ? LOOK_MS : 15) : LOOK_MS,
      () => this.#look(),
    );
  }

  /** undefined: it is not there; null: it cannot be read. */
  #onDisk(): InstanceFile | null | undefined {
    try {
      return readInstance(this.folder);
    } catch {
      return null; // it is looked at again
    }
  }

  /** As a machine whose power has failed for good: nothing of it is started again, and whoever asks is told. */
  #giveUp(reason: string): void {
    this.powerOff(reason).catch((error: unknown) =>
      this.#services.logger.error({ machine: this.id, reason: messageOf(error) }, 'a machine could not be ended'),
    );
  }

  #boot(): void {
    const { clock, logger, maxRestartsPerMinute, selfCommand } = this.#services;
    const now = clock.now();
    this.#deaths = this.#deaths.filter((at) => now - at < 60_000);
    if (this.#deaths.length > maxRestartsPerMinute) {
      logger.error({ machine: this.id }, 'the machine sitter keeps dying; the machine is given up');
      const why = this.#failure === null ? '' : `: ${this.#failure.sentence}`;
      this.#failed(`it is given up, since its machine sitter died ${this.#deaths.length} times within a minute${why}`);
      this.#giveUp(`its sitter died ${this.#deaths.length} times within a minute`);
      return;
    }
    this.#deaths.push(now);
    this.#tell('its machine sitter is started');
    const [program = process.execPath, ...first] = selfCommand;
    const port = /:(\d+)$/.exec(this.#sitter.lastUrl ?? '')?.[1] ?? '0';
    const log = openSync(this.#sitter.log, 'a', 0o640);
    try {
      this.#said = fstatSync(log).size;
      const child = spawn(
        program,
        [...first, '--mode', 'machine', '--data-dir', this.folder, '--port', port, '--port-fallback', ...this.#size()],
        {
          cwd: this.folder,
          detached: true,
          stdio: ['ignore', log, log],
          env: {
            ...process.env,
            [MACHINE_MARKER]: this.#marker,
            CEREBRO_ADDRESS: this.#address,
            CEREBRO_HOME: join(this.folder, 'home'),
          },
        },
      );
      child.once('exit', (code, signal) => this.#sitterEnded(code, signal));
      child.once('error', (error) => {
        logger.error({ machine: this.id, err: error }, 'a machine sitter could not be started');
        this.#child = null;
        this.#failed(`its machine sitter could not be started: ${error.message}`);
      });
      child.unref();
      this.#child = child;
    } finally {
      closeSync(log);
    }
  }

  /** A machine here is as large as its type says, and not as this host. */
  #size(): string[] {
    const { cpu, mem } = this.#file;
    return cpu === null || mem === null ? [] : ['--capacity-cpu', String(cpu), '--capacity-mem', String(mem)];
  }

  #sitterEnded(code: number | null, signal: string | null): void {
    this.#services.logger.warn({ machine: this.id, code, signal }, 'a machine sitter ended; it is started again');
    this.#child = null;
    const words = this.#sitter.lastWords(this.#said);
    this.#failed(
      `its machine sitter ended with ${code ?? signal}${words === '' ? '' : `: ${words}`} (${this.#sitter.log})`,
    );
    this.#look();
  }

  #tell(step: string | null): void {
    this.#services.onProgress(this.id, { step, percent: null, failure: this.#failure });
  }

  #failed(sentence: string): void {
    this.#failure = { sentence, attempts: (this.#failure?.attempts ?? 0) + 1, at: this.#services.clock.now() };
    this.#tell(null);
  }

  get #address(): string {
    return this.#services.ownAddresses ? ownAddress(this.#file.clusterId, this.#file.machineId) : SHARED_ADDRESS;
  }

  get #marker(): string {
    return `${this.#file.clusterId}/${this.#file.machineId}`;
  }

  #killAll(): Promise<void> {
    return killMarked(this.#services.processes, this.#services.clock, (marker) => marker === this.#marker);
  }
}
