import { Readable } from 'node:stream';
import type { MachineLink } from '../../core/cluster/machines/machine-link.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { MachineMessage } from '../../core/model/machine-stream.ts';
import type { Cloud, CloudInstance } from './cloud.ts';
import type { EffectLaws } from './effect-laws.ts';
import { FaultyCalls } from './faulty-calls.ts';
import { Line } from './line.ts';
import type { NameLaws } from './name-laws.ts';
import type { Network } from './network.ts';
import type { Command, SimulatedMachine } from './simulated-machine.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const ANSWER_MS = 10_000;
const REMOVE_MS = 120_000;
const CONNECT_MS = 5000;
const LEASH_MS = 3000;

export interface LinkParts {
  world: World;
  cloud: Cloud;
  network: Network;
  laws: EffectLaws;
  nameLaws: NameLaws;
}

/** How one process reaches machines: the simulation's `MachineClient`. */
export class SimulatedLink implements MachineLink {
  readonly #parts: LinkParts;
  readonly #process: SitterProcess;
  readonly #epoch: () => number;
  #orders = 0;
  readonly #calls: FaultyCalls;

  constructor(parts: LinkParts, process: SitterProcess, epoch: () => number) {
    this.#parts = parts;
    this.#process = process;
    this.#epoch = epoch;
    this.#calls = new FaultyCalls(parts.world, process, 'machine');
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** There is nothing to forget: no connection outlives its call. */
  forget(): void {
    return;
  }

  putTask: MachineLink['putTask'] = (machine, definition) => {
    const { laws, nameLaws } = this.#parts;
    laws.onPut(machine.id, definition, this.#process);
    nameLaws.onPut(definition, this.#process);
    return this.#command(machine, `start ${definition.id} v${definition.version}`, ANSWER_MS, (there, command) =>
      there.put(structuredClone(definition), command),
    );
  };

  removeTask: MachineLink['removeTask'] = (machine, id) => {
    const { laws, nameLaws } = this.#parts;
    laws.onRemove(machine.id, id, this.#process);
    nameLaws.onRemove(machine.id, id, this.#process);
    return this.#command(machine, `remove ${id}`, REMOVE_MS, (there, command) => there.remove(id, command));
  };

  greet: MachineLink['greet'] = async () => {
    // No provider of the simulation puts sitters onto machines by itself.
    await Promise.resolve();
  };

  putIdentity: MachineLink['putIdentity'] = async () => {
    // The authority of the simulation makes what never ends.
    await Promise.resolve();
  };

  leash: MachineLink['leash'] = (machine) =>
    this.#command(machine, 'go on', LEASH_MS, (there, command) => there.hear(command), false);

  runs: MachineLink['runs'] = (machine, id) => this.#command(machine, `runs of ${id}`, ANSWER_MS, () => []);

  history: MachineLink['history'] = async (_machine, of, span) => ({
    of,
    span,
    from: new Date(this.#parts.world.clock.now()).toISOString(),
    stepSeconds: 5,
    series: {},
  });

  log: MachineLink['log'] = async () => ({ status: 200, headers: {}, body: Readable.from([]) });

  async *watch(machine: MachineRecord, since: number, signal: AbortSignal): AsyncGenerator<MachineMessage> {
    const { world, network } = this.#parts;
    const instance = await this.#calls.make({
      what: `connect to ${machine.id}`,
      timeoutMs: CONNECT_MS,
      reachable: () => this.#wayTo(machine),
      act: () => this.#instance(machine),
      told: false,
    });
    const line = new Line({ world, network, process: this.#process, machine: instance.machine.about });
    line.open((listener) => instance.machine.listen(listener, since, machine.token));
    signal.addEventListener('abort', () => line.hangUp(), { once: true });
    try {
      for (;;) {
        const message = await line.next();
        if (message === null) throw new CerebroError('unavailable', `${machine.id}: the connection broke`);
        this.#process.heardAt.set(machine.id, world.clock.now());
        yield message;
      }
    } finally {
      line.close();
    }
  }

  #command<T>(
    machine: MachineRecord,
    what: string,
    timeoutMs: number,
    act: (there: SimulatedMachine, command: Command) => T | Promise<T>,
    told = true,
  ): Promise<T> {
    // What is said when it is sent, however late it arrives.
    this.#orders += 1;
    const { epoch: trueEpoch } = this.#process;
    const command = { token: machine.token, epoch: this.#epoch(), serial: this.#orders, trueEpoch };
    return this.#calls.make({
      what: `${machine.id}: ${what}`,
      timeoutMs,
      reachable: () => this.#wayTo(machine),
      act: () => act(this.#instance(machine).machine, command),
      told,
    });
  }

  #instance(machine: MachineRecord): CloudInstance {
    const instance = machine.endpoint === null ? undefined : this.#parts.cloud.byEndpoint(machine.endpoint);
    if (!instance) throw new CerebroError('unavailable', `${machine.id} has no address`);
    return instance;
  }

  /** A machine without power is as far away as one behind a broken network: nobody answers. */
  #wayTo(machine: MachineRecord): boolean {
    const instance = machine.endpoint === null ? undefined : this.#parts.cloud.byEndpoint(machine.endpoint);
    return instance?.machine.powered === true && this.#parts.network.reaches(instance.machine.about);
  }
}
