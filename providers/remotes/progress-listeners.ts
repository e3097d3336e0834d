import type { Progress } from '../../core/model/progress.ts';

export type ProgressListener = (machineId: string, progress: Progress) => void;

/** Who is told how far a provider's machines are on their way. */
export class ProgressListeners {
  readonly #listeners = new Set<ProgressListener>();

  readonly add = (listener: ProgressListener): void => {
    this.#listeners.add(listener);
  };

  readonly tell: ProgressListener = (machineId, progress) => {
    for (const listener of this.#listeners) listener(machineId, progress);
  };
}
