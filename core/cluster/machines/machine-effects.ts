import type { Clock } from '../../contracts/clock.ts';
import type { IdentityIssuer } from '../../contracts/identity-issuer.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import type { NewEvent } from '../../model/event.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Orphan } from '../../model/plan.ts';
import type { Lead } from '../leader/leadership.ts';
import { changeMachine } from '../records/change-records.ts';
import { type ClusterRecords, keys } from '../records/cluster-records.ts';
import { providerFor } from './provider-for.ts';
import { renewByProvider } from './renew-by-provider.ts';

/** What costs money or destroys is begun only while the lead is sure for so long. */
const SURE_MS = 5000;
/** An adopted machine whose sitter does not answer with the certificate that it was given is given another after this. */
const IDENTITY_MS = 30_000;

export interface MachineEffectsDeps {
  records: ClusterRecords;
  providers: ReadonlyMap<string, MachineProvider>;
  identities: IdentityIssuer;
  lead: Lead;
  clock: Clock;
  /** An instance that no record knew is no more. */
  onOrphanEnded(machineId: string): void;
}

/** What is done with machines as a whole. Each may be done twice, or be left in the middle; what came of it is written down at its end. */
export class MachineEffects {
  readonly #deps: MachineEffectsDeps;

  constructor(deps: MachineEffectsDeps) {
    this.#deps = deps;
  }

  async create(machine: MachineRecord): Promise<void> {
    const { records, identities, lead } = this.#deps;
    const identity = await identities.issue(machine.id);
    lead.demand(SURE_MS);
    const instance = await providerFor(this.#deps.providers, machine).create({
      clusterId: records.clusterId,
      machineId: machine.id,
      zone: machine.zone,
      type: { name: machine.type, cpu: machine.cpu, mem: machine.mem, labels: machine.labels },
      intent: machine.intent,
      token: machine.token,
      identity,
    });
    await changeMachine(this.#deps.records, machine.id, (now) =>
      now.state === 'requested'
        ? {
            ...now,
            state: 'booting',
            stateSince: this.#deps.clock.now(),
            ref: instance.ref,
            address: instance.address,
            endpoint: instance.endpoint,
            attempts: 0,
            lastError: null,
          }
        : null,
    );
  }

  async destroy(machine: MachineRecord): Promise<void> {
    const { records, lead } = this.#deps;
    lead.demand(SURE_MS);
    await providerFor(this.#deps.providers, machine).destroy(records.clusterId, machine.id);
    await records.transact(() => {
      const now = records.machines.get(machine.id);
      if (!now || (now.state !== 'terminating' && now.state !== 'lost')) return null;
      const event: NewEvent = {
        level: 'info',
        kind: 'machine-gone',
        message: `${machine.id} is gone: ${now.reason}`,
        machine: machine.id,
      };
      const cursor = records.cursors.has(machine.id) ? [{ delete: keys.cursor(machine.id) }] : [];
      return { write: [{ delete: keys.machine(machine.id) }, ...cursor], events: [event] };
    });
  }

  /** By the way round its sitter, which believes in another authority. Given again for as long as the sitter does not answer. */
  async giveIdentity(machine: MachineRecord): Promise<void> {
    const identity = await this.#deps.identities.issue(machine.id);
    await renewByProvider(providerFor(this.#deps.providers, machine), machine, identity);
    const nextAttemptAt = this.#deps.clock.now() + IDENTITY_MS;
    await changeMachine(this.#deps.records, machine.id, (now) => ({
      ...now,
      attempts: 0,
      lastError: null,
      nextAttemptAt,
    }));
  }

  /** Ends an instance that bears our tag and whose record is gone. */
  async endOrphan(orphan: Orphan): Promise<void> {
    const { records, providers, lead, onOrphanEnded } = this.#deps;
    if (records.machines.has(orphan.machineId)) return;
    lead.demand(SURE_MS);
    await providers.get(orphan.provider)?.destroy(records.clusterId, orphan.machineId);
    onOrphanEnded(orphan.machineId);
    const message = `${orphan.ref} in ${orphan.zone} bore this cluster's tag as ${orphan.machineId}, which no record knows: it was ended`;
    const event: NewEvent = { level: 'warn', kind: 'orphan-ended', message, machine: orphan.machineId };
    await records.transact(() => ({ write: [], events: [event] }));
  }
}
