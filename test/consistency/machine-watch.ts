import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EPOCH_HEADER } from '../../core/model/machine-stream.ts';
import type { HeardEpochs, Sighting, StaleCommand } from './history.ts';
import { machinesIn } from './machine-links.ts';

const LOOK_MS = 50;
/** A command of a leader that was succeeded, at every so many looks. */
const PROBE_EVERY = 8;
const ANSWER_MS = 3000;

/** Looks at the machines of this host, past Cerebro, and is a leader of an older epoch to them. */
export class MachineWatch {
  readonly sightings = new Map<string, Sighting>();
  readonly stale: StaleCommand[] = [];
  readonly #heard = new Map<string, number[]>();
  readonly #folder: string;
  #timer: NodeJS.Timeout | null = null;
  #looks = 0;
  readonly #probes = new Set<Promise<void>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await Promise.all(this.#probes);
  }

  heard(): HeardEpochs[] {
    return [...this.#heard].map(([machine, epochs]) => ({ machine, epochs }));
  }

  #look(): void {
    this.#looks += 1;
    for (const [n, name] of machinesIn(this.#folder).entries()) {
      const instance = this.#read(name, 'instance.json');
      if (instance === undefined) continue;
      const { machineId: machine, intent } = JSON.parse(instance);
      const folder = `${name}:${this.#birth(name)}`;
      this.sightings.set(`${folder}:${intent}`, { machine, intent, folder });
      const epoch = Number(this.#read(name, 'epoch') ?? 0);
      if (epoch === 0) continue;
      // A machine's folder that was made anew is another machine: it has heard of nobody.
      const epochs = this.#heard.get(folder) ?? [];
      this.#heard.set(folder, epochs);
      if (epochs.at(-1) !== epoch) epochs.push(epoch);
      if ((this.#looks + n) % PROBE_EVERY !== 0) continue;
      const probe = this.#command(name, machine, epoch).catch(() => undefined); // it does not answer now
      this.#probes.add(probe);
      probe.finally(() => this.#probes.delete(probe)).catch(() => undefined);
    }
  }

  /** Lets the machine's tasks go on, as a leader would that was succeeded. */
  async #command(name: string, machine: string, heard: number): Promise<void> {
    const { url } = JSON.parse(this.#read(name, 'sitter.json') ?? '{"url": ""}');
    const epoch = heard - 1;
    const answer = await fetch(`${url}/api/v1/leash`, {
      method: 'POST',
      body: '{}',
      headers: {
        authorization: `Bearer ${this.#read(name, 'admin.token')?.trim()}`,
        'content-type': 'application/json',
        [EPOCH_HEADER]: String(epoch),
      },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.arrayBuffer();
    // A machine that starts or stops says so before it looks at anything.
    if (answer.status !== 503) this.stale.push({ machine, epoch, heard, status: answer.status });
  }

  #read(name: string, file: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, name, file), 'utf8');
    } catch {
      return undefined; // not there yet, or not any more
    }
  }

  /** Numbers of folders are used again; with the time of birth they tell one from another. */
  #birth(name: string): string {
    const stat = statSync(join(this.#folder, name), { throwIfNoEntry: false });
    return `${stat?.ino}/${stat?.birthtimeMs}`;
  }
}
