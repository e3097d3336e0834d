import type { Clock } from '../../contracts/clock.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import type { Effect } from '../../decide/plan/due-effects.ts';
import { CerebroError } from '../../errors.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { NewEvent } from '../../model/event.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Secrets } from '../access/secrets.ts';
import type { Lead } from '../leader/leadership.ts';
import type { MachineLink } from '../machines/machine-link.ts';
import { providerFor } from '../machines/provider-for.ts';
import { changeCopy } from '../records/change-records.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import type { RecipeRunner } from './recipe-runner.ts';

/** A machine that took a task has so long to report it before it is told again. */
const REPORT_MS = 2000;

export interface CopyEffectsDeps {
  records: ClusterRecords;
  providers: ReadonlyMap<string, MachineProvider>;
  client: MachineLink;
  recipes: RecipeRunner;
  secrets: Pick<Secrets, 'of'>;
  lead: Lead;
  clock: Clock;
  /** Whether names still lead to a copy, so that its process is not to be ended yet. */
  isHeld(copy: CopyRecord): boolean;
  /** For tasks of jobs that may not run twice. */
  leashSeconds: number;
}

/** What is done with copies on their machines: recipe, then task; and its end. */
export class CopyEffects {
  readonly #deps: CopyEffectsDeps;

  constructor(deps: CopyEffectsDeps) {
    this.#deps = deps;
  }

  /** Whether a recipe comes before its task. */
  needsRecipe({ job, version, recipeVersion }: CopyRecord): boolean {
    return recipeVersion !== version && this.#deps.records.spec(job, version)?.deployment_recipe !== undefined;
  }

  async deploy(copy: CopyRecord, machine: MachineRecord, signal: AbortSignal): Promise<void> {
    const { records, client, recipes } = this.#deps;
    const spec = records.spec(copy.job, copy.version);
    if (!spec) throw new CerebroError('internal', `version ${copy.version} of "${copy.job}" is not in the store`);
    const prepares = copy.recipeVersion !== copy.version;
    if (prepares) {
      // From here on the machine may stand between two versions: should it go back to the one before, that is deployed again.
      if (copy.recipeVersion !== null && spec.deployment_recipe !== undefined)
        await changeCopy(this.#deps.records, copy.id, (now) => ({ ...now, recipeVersion: null }));
      await recipes.run({ copy, machine, spec, provider: providerFor(this.#deps.providers, machine), signal });
      await changeCopy(this.#deps.records, copy.id, (now) =>
        now.version === copy.version ? { ...now, recipeVersion: copy.version } : null,
      );
    }
    // Read again: while the recipe ran, the copy may have been stopped or given a newer version.
    const now = records.copies.get(copy.id);
    if (now?.wanted !== 'run' || now.version !== copy.version || signal.aborted) return;
    // So may its process have come back, and its names with it: then it waits for these once more, and is asked for again.
    if (prepares && this.#deps.isHeld(now)) return;
    const { generation, version } = now;
    this.#deps.lead.demand();
    const secrets = this.#deps.secrets.of(copy.job, version);
    await client.putTask(machine, {
      ...(secrets !== undefined && { secrets }),
      id: copy.id,
      job: copy.job,
      version,
      generation,
      leash: spec.singleton ? this.#deps.leashSeconds : null,
      configuration: spec.task_configuration,
    });
    await changeCopy(this.#deps.records, copy.id, (after) =>
      after.version === version
        ? {
            ...after,
            taskVersion: version,
            taskGeneration: generation,
            attempts: 0,
            nextAttemptAt: this.#deps.clock.now() + REPORT_MS,
            lastError: null,
          }
        : null,
    );
  }

  async remove(effect: Extract<Effect, { kind: 'remove-task' }>): Promise<void> {
    const { records, client } = this.#deps;
    await client.removeTask(effect.machine, effect.task);
    const { copy } = effect;
    if (copy === null) return;
    await records.transact(() => {
      const now = records.copies.get(copy.id);
      if (now?.wanted !== 'stop') return null;
      const event: NewEvent = {
        level: 'info',
        kind: 'copy-gone',
        message: `${copy.id} has ended: ${now.reason}`,
        job: now.job,
        machine: now.machine,
        copy: copy.id,
      };
      return { write: [{ delete: keys.copy(copy.id) }], events: [event] };
    });
  }
}
