import type { World } from './world.ts';

/** What lies between the cluster sitter and everything else, and can be cut. */
export type Cut =
  | { kind: 'machine'; id: string }
  | { kind: 'zone'; zone: string }
  | { kind: 'machines' }
  | { kind: 'sitter' };

/** While a way is cut nothing comes through; what was under way on an open connection comes when it is mended, if somebody still waits. */
export class Network {
  readonly #world: World;
  readonly #cuts = new Set<Cut>();
  readonly #onHeal = new Set<() => void>();

  constructor(world: World) {
    this.#world = world;
  }

  cut(cut: Cut, ms: number): void {
    this.#cuts.add(cut);
    this.#world.tell(`the network is cut: ${nameOf(cut)}`);
    this.#world.after(ms, () => this.#heal(cut));
  }

  healAll(): void {
    for (const cut of [...this.#cuts]) this.#heal(cut);
  }

  reaches(machine: { id: string; zone: string }): boolean {
    for (const cut of this.#cuts) {
      if (cut.kind === 'sitter' || cut.kind === 'machines') return false;
      if (cut.kind === 'zone' ? cut.zone === machine.zone : cut.id === machine.id) return false;
    }
    return true;
  }

  reachesProvider(): boolean {
    for (const cut of this.#cuts) if (cut.kind === 'sitter') return false;
    return true;
  }

  /** Calls back whenever a way is mended; returns how to stop that. */
  onHeal(listener: () => void): () => void {
    this.#onHeal.add(listener);
    return () => this.#onHeal.delete(listener);
  }

  #heal(cut: Cut): void {
    if (!this.#cuts.delete(cut)) return;
    this.#world.tell(`the network is mended: ${nameOf(cut)}`);
    for (const listener of [...this.#onHeal]) listener();
  }
}

function nameOf(cut: Cut): string {
  if (cut.kind === 'machine') return `machine ${cut.id}`;
  if (cut.kind === 'zone') return `zone ${cut.zone}`;
  return cut.kind === 'machines' ? 'all machines' : 'the cluster sitter, from everything';
}
