import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Instance } from '../../core/contracts/machine-provider.ts';
import { messageOf } from '../../core/errors.ts';
import type { Failure, Progress } from '../../core/model/progress.ts';
import { ClaimedHost } from './claimed-host.ts';
import type { InventoryHost } from './inventory.ts';
import type { MachineNote } from './machine-notes.ts';
import type { HostHands, Sitters } from './sitters.ts';

const FIRST_LOOKS_MS = 300;
const MAX_STARTS_PER_MINUTE = 6;
/** For a machine sitter to say where it listens, on a slow host. */
const START_MS = 30_000;

export interface SshMachineServices {
  clock: Clock;
  logger: Logger;
  sitters: Sitters;
  asRoot: boolean;
  lookEveryMs: number;
  onChange(): void;
  onProgress(machineId: string, progress: Progress): void;
  /** Whether it is for this cluster that we are here: what is another's, or of a store that was lost, is looked at and nothing else. */
  serves(clusterId: string): boolean;
  /** Called when a machine sitter is found at an address for the first time, or at another one. */
  onFound(note: MachineNote, where: { address: string; endpoint: string }): void;
}

/** A host that is ours: looks at it again and again, and starts its machine sitter where none runs, as an init would. */
export class SshMachine {
  readonly note: MachineNote;
  readonly host: InventoryHost;
  readonly hands: HostHands;
  readonly #services: SshMachineServices;
  #endpoint: string | null = null;
  /** `unknown`: it was not reached at the last look, which says nothing about the machine. */
  #state: 'unknown' | 'starting' | 'running' | 'broken' | 'gone' = 'unknown';
  #starts: number[] = [];
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #watching = false;
  readonly #stop = new AbortController();
  /** Why the last looks have failed; null: the last one has not. */
  #failure: Failure | null = null;
  /** What is wrong with the host itself, though it was reached. */
  #trouble: string | null = null;

  constructor(note: MachineNote, host: InventoryHost, hands: HostHands, services: SshMachineServices) {
    this.note = note;
    this.host = host;
    this.hands = hands;
    this.#services = services;
  }

  instance(): Instance {
    const { clusterId, machineId, zone, intent } = this.note;
    const states = {
      unknown: 'pending',
      starting: 'pending',
      running: 'running',
      broken: 'stopped',
      gone: 'gone',
    } as const;
    return {
      ref: this.host.id,
      clusterId,
      machineId,
      zone,
      intent,
      state: states[this.#state],
      address: this.host.address,
      endpoint: this.#endpoint,
      ...(this.#trouble !== null && { trouble: this.#trouble }),
    };
  }

  /** Takes a first look, and from then on looks again and again, and starts what does not run. */
  async watch(): Promise<void> {
    this.#watching = true;
    await this.#lookAndArm(true);
  }

  /** Lets go; the machine runs on. */
  async unwatch(): Promise<void> {
    this.#watching = false;
    this.#stop.abort();
    this.#timer?.cancel();
    this.#timer = null;
    await this.hands.remote.close();
    await this.#looking;
  }

  async #lookAndArm(onlyLook = false): Promise<void> {
    this.#looking ??= this.#look(onlyLook).finally(() => {
      this.#looking = null;
    });
    await this.#looking;
    if (!this.#watching || this.#state === 'gone') return;
    const ms = this.#state === 'starting' ? FIRST_LOOKS_MS : this.#services.lookEveryMs;
    this.#timer?.cancel();
    this.#timer = this.#services.clock.timer(ms, () => void this.#lookAndArm());
  }

  async #look(onlyLook: boolean): Promise<void> {
    const before = this.#shown();
    try {
      await this.#seeTo(onlyLook);
      this.#failure = null;
    } catch (error) {
      this.#state = 'unknown';
      const sentence = messageOf(error);
      // Told once, not at every look.
      if (sentence !== this.#failure?.sentence)
        this.#services.logger.warn(
          { machine: this.note.machineId, host: this.host.id, err: error },
          'a host could not be looked after',
        );
      this.#failure = { sentence, attempts: (this.#failure?.attempts ?? 0) + 1, at: this.#services.clock.now() };
      this.#tell(null, null);
    }
    if (before !== this.#shown() && this.#watching) this.#services.onChange();
  }

  #tell(step: string | null, percent: number | null): void {
    if (this.#stop.signal.aborted) return;
    this.#services.onProgress(this.note.machineId, { step, percent, failure: this.#failure });
  }

  #shown(): string {
    return `${this.#state} ${this.#endpoint} ${this.#trouble}`;
  }

  async #seeTo(onlyLook: boolean): Promise<void> {
    const { clusterId, machineId } = this.note;
    const owner = await new ClaimedHost(this.hands.remote, this.#services.asRoot).owner();
    if (owner === undefined) {
      // No evidence of anything: a home that is not mounted, or a hand that slipped. Its tasks may run; a second sitter must not.
      this.#state = 'unknown';
      this.#trouble = `${this.host.id} has no claim file any more, so nobody knows what runs there; look there, or replace the machine`;
      return;
    }
    this.#trouble = null;
    if (owner.clusterId !== clusterId || owner.machineId !== machineId) {
      this.#state = 'gone';
      return;
    }
    const url = await this.#services.sitters.url(this.hands);
    if (url !== null) {
      const found = url !== this.#endpoint;
      this.#endpoint = url;
      this.#state = 'running';
      if (found) this.#services.onFound(this.note, { address: this.host.address, endpoint: url });
      return;
    }
    if (onlyLook) {
      this.#state = 'starting';
      return;
    }
    const { clock, logger, sitters, serves } = this.#services;
    if (!serves(clusterId)) {
      this.#state = 'unknown';
      return;
    }
    const now = clock.monotonic();
    // One that was just started has not written yet where it listens.
    const last = this.#starts.at(-1);
    if (this.#state === 'starting' && last !== undefined && now - last < START_MS) return;
    this.#starts = this.#starts.filter((at) => now - at < 60_000);
    if (this.#starts.length >= MAX_STARTS_PER_MINUTE) {
      this.#state = 'broken';
      return;
    }
    this.#starts.push(now);
    this.#state = 'starting';
    this.#tell('its machine sitter is started', null);
    await sitters.start(this.hands, this.#stop.signal, (step, percent) => this.#tell(step, percent));
    logger.info({ machine: machineId, host: this.host.id }, 'a machine sitter was started');
  }
}
