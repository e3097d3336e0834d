import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CerebroError, messageOf } from '../../core/errors.ts';

/** Which host was chosen for an order. */
export const machineNote = z.object({
  clusterId: z.string(),
  machineId: z.string(),
  intent: z.string(),
  zone: z.string(),
  /** Of the inventory. */
  host: z.string(),
  /** Where it was found when it was last seen to run, for when its host leaves the inventory. */
  address: z.string().optional(),
  endpoint: z.string().optional(),
});
export type MachineNote = z.infer<typeof machineNote>;

/**
 * What the provider must remember of its machines: a host that cannot be reached cannot say whose it is, and must not be taken
 * for one that is gone. Written before a host is claimed, so that an order whose answer was lost goes to the same host again.
 */
export class MachineNotes {
  readonly #folder: string;
  readonly #notes = new Map<string, MachineNote>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  load(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#notes.clear();
    for (const file of readdirSync(this.#folder).filter((name) => name.endsWith('.json'))) {
      try {
        const note = machineNote.parse(JSON.parse(readFileSync(join(this.#folder, file), 'utf8')));
        this.#notes.set(note.machineId, note);
      } catch (error) {
        throw new CerebroError(
          'invalid',
          `${join(this.#folder, file)} cannot be read: ${messageOf(error)}; mend it, or delete it`,
        );
      }
    }
  }

  get(machineId: string): MachineNote | undefined {
    return this.#notes.get(machineId);
  }

  all(): MachineNote[] {
    return [...this.#notes.values()];
  }

  set(note: MachineNote): void {
    const file = this.#file(note.machineId);
    writeFileSync(`${file}.new`, JSON.stringify(note), { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
    this.#notes.set(note.machineId, note);
  }

  delete(machineId: string): void {
    rmSync(this.#file(machineId), { force: true });
    this.#notes.delete(machineId);
  }

  #file(machineId: string): string {
    return join(this.#folder, `${encodeURIComponent(machineId)}.json`);
  }
}
