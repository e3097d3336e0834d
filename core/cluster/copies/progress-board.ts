import type { Logger } from '../../contracts/logger.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { progressSentence } from '../../decide/words/progress-sentence.ts';
import { messageOf } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import { isOnItsWay, type MachineRecord } from '../../model/machine.ts';
import type { Failure, Progress } from '../../model/progress.ts';

/** A machine sitter that is just starting is not heard at first. */
const LINE_TRIES = 10;
/** Different sentences of one machine that go to its timeline; one that goes on changing says nothing new. */
const MAX_TOLD = 50;

export interface ProgressBoardDeps {
  machines: ReadonlyMap<string, MachineRecord>;
  providers: readonly Pick<MachineProvider, 'onProgress'>[];
  logger: Logger;
  tell(events: NewEvent[]): Promise<void>;
  /** There is something else to be shown; `figures`: only another percent. */
  onChange(what?: 'figures'): void;
}

interface Entry {
  /** What its provider says. */
  provider: Progress | null;
  /** Why its machine sitter was not heard; the machine itself may be fine. */
  line: Failure | null;
  told: Set<string>;
}

/**
 * How far machines and recipes are, as of now: a state that is shown to whoever asks, and not a row of events. To a machine's
 * timeline goes each step, and each reason why it is not ready yet, once.
 */
export class ProgressBoard {
  readonly #deps: ProgressBoardDeps;
  readonly #machines = new Map<string, Entry>();
  readonly #copies = new Map<string, Progress>();
  #telling: Promise<void> = Promise.resolve();

  constructor(deps: ProgressBoardDeps) {
    this.#deps = deps;
  }

  /** Listens to the providers from now on. */
  start(): void {
    for (const provider of this.#deps.providers)
      provider.onProgress?.((machineId, progress) => this.#noteProvider(machineId, progress));
  }

  /** How far a machine is that is not ready yet; null: nobody knows, or it is ready. */
  machine(id: string): Progress | null {
    const machine = this.#deps.machines.get(id);
    const entry = this.#machines.get(id);
    if (!entry || !machine || !isOnItsWay(machine)) return null;
    const { provider, line } = entry;
    // While its provider is at work, it is no wonder that nobody answers there.
    if (isAtWork(provider)) return provider;
    return line && { step: null, percent: null, failure: line };
  }

  /** How far the recipe of a copy is; null: none runs, or it does not say. */
  copy(id: string): Progress | null {
    return this.#copies.get(id) ?? null;
  }

  /** null: its recipe is over. */
  noteCopy(id: string, progress: Progress | null): void {
    const before = this.copy(id);
    if (isSame(before, progress)) return;
    if (progress === null) this.#copies.delete(id);
    else this.#copies.set(id, progress);
    this.#deps.onChange(changeOf(before, progress));
  }

  /** null: the machine sitter is heard. */
  noteLine(id: string, failure: Failure | null): void {
    const entry = this.#entry(id);
    entry.line = failure;
    if (failure === null) return;
    if (!isAtWork(entry.provider) && failure.attempts >= LINE_TRIES) this.#tellFailure(id, entry, failure);
    this.#deps.onChange();
  }

  #noteProvider(id: string, progress: Progress): void {
    if (!this.#deps.machines.has(id)) return;
    const entry = this.#entry(id);
    const before = entry.provider;
    if (isSame(before, progress)) return;
    entry.provider = progress;
    const { step, failure } = progress;
    if (step !== null && step !== before?.step)
      this.#tell({ level: 'info', kind: 'machine-step', message: `${id}: ${step}`, machine: id });
    if (failure !== null && failure.sentence !== before?.failure?.sentence) this.#tellFailure(id, entry, failure);
    this.#deps.onChange(changeOf(before, progress));
  }

  /** Once for each sentence: tries that fail for the same reason are counted on the page. */
  #tellFailure(id: string, entry: Entry, { sentence }: Failure): void {
    const machine = this.#deps.machines.get(id);
    if (!machine || !isOnItsWay(machine) || entry.told.has(sentence) || entry.told.size >= MAX_TOLD) return;
    entry.told.add(sentence);
    const message = `${id} is ${machine.state}: ${sentence}; it is tried again`;
    this.#tell({ level: 'warn', kind: 'machine-trouble', message, machine: id });
  }

  /** In their order. One that cannot be written is in the log: the state is shown all the same. */
  #tell(event: NewEvent): void {
    this.#telling = this.#telling
      .then(() => this.#deps.tell([event]))
      .catch((error: unknown) =>
        this.#deps.logger.debug({ machine: event.machine, reason: messageOf(error) }, event.message),
      );
  }

  /** Machines that are gone are forgotten when another one comes. */
  #entry(id: string): Entry {
    const known = this.#machines.get(id);
    if (known) return known;
    for (const other of this.#machines.keys()) if (!this.#deps.machines.has(other)) this.#machines.delete(other);
    const made: Entry = { provider: null, line: null, told: new Set() };
    this.#machines.set(id, made);
    return made;
  }
}

function isAtWork(progress: Progress | null): progress is Progress {
  return progress !== null && (progress.step !== null || progress.failure !== null);
}

function changeOf(before: Progress | null, after: Progress | null): 'figures' | undefined {
  const sameWork = before !== null && before.step === after?.step && before.failure?.at === after.failure?.at;
  return sameWork ? 'figures' : undefined;
}

function isSame(a: Progress | null, b: Progress | null): boolean {
  if (a === null || b === null) return a === b;
  return a.percent === b.percent && a.failure?.at === b.failure?.at && progressSentence(a) === progressSentence(b);
}
