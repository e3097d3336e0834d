import { X509Certificate } from 'node:crypto';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { messageOf } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Complaint } from '../../model/plan.ts';
import { RENEWAL_SHARE } from '../../model/tls-identity.ts';
import { providerOf } from '../../model/zone.ts';
import type { Authority } from '../access/certificate-authority.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import type { MachineAgents } from './machine-agents.ts';
import type { MachineClient } from './machine-client.ts';
import { renewByProvider } from './renew-by-provider.ts';

/** Looking costs nothing: what machines showed is in memory. */
const LOOK_MS = 5000;
/** A renewal that failed is tried again after this, or sooner where less time is left. */
const RETRY_MS = 3600_000;
/** With less than this share of its life left, a certificate that could not be renewed is everybody's business. */
const URGENT_SHARE = RENEWAL_SHARE / 2;
const AUTHORITY_WARNING_MS = 365 * 24 * 3600_000;

export interface CertificateKeeperDeps {
  records: Pick<ClusterRecords, 'machines' | 'transact'>;
  providers: ReadonlyMap<string, MachineProvider>;
  authority: Authority;
  agents: Pick<MachineAgents, 'certificateEnd' | 'noteCertificateEnd'>;
  client: Pick<MachineClient, 'putIdentity'>;
  clock: Clock;
  logger: Logger;
}

interface Trouble {
  retryAt: number;
  sentence: string;
  told: boolean;
}

/**
 * Renews the machines' certificates before they end, over the connections that they are for; tasks notice nothing. A machine whose
 * certificate has ended already (nobody was there to renew it) cannot be spoken to: its provider is asked to put a new one there.
 */
export class CertificateKeeper {
  readonly #deps: CertificateKeeperDeps;
  readonly #troubles = new Map<string, Trouble>();
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #authorityTold = false;
  #authorityTrouble: string | null = null;
  #stopped = false;

  constructor(deps: CertificateKeeperDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  /** What is near its end and could not be renewed, for the page. */
  get complaints(): Complaint[] {
    const machines = [...this.#troubles]
      .filter(([, { told }]) => told)
      .map(([machine, { sentence }]) => ({ about: { machine }, sentence, alert: `certificate/${machine}` }));
    if (this.#authorityTrouble === null) return machines;
    return [{ about: {}, sentence: this.#authorityTrouble, alert: 'certificate/authority' }, ...machines];
  }

  /** Renews what is due now. The timer calls it; tests may. */
  async look(): Promise<void> {
    const { records } = this.#deps;
    for (const id of this.#troubles.keys()) if (!records.machines.has(id)) this.#troubles.delete(id);
    await this.#judgeAuthority();
    for (const machine of [...records.machines.values()]) {
      if (this.#stopped) return;
      if (this.#isDue(machine)) await this.#renew(machine);
    }
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.timer(LOOK_MS, () => {
      this.#looking = this.look()
        .catch((error: unknown) => this.#deps.logger.warn({ err: error }, 'certificates could not be looked after'))
        .finally(() => this.#arm());
    });
  }

  #isDue(machine: MachineRecord): boolean {
    if (machine.endpoint === null || machine.state === 'lost' || machine.state === 'terminating') return false;
    const { agents, authority, clock } = this.#deps;
    const end = agents.certificateEnd(machine.id);
    const now = clock.now();
    if (end === undefined || end - now > authority.lifetimeMs * RENEWAL_SHARE) return false;
    return now >= (this.#troubles.get(machine.id)?.retryAt ?? 0);
  }

  async #renew(machine: MachineRecord): Promise<void> {
    const { authority, agents, client, clock, records, logger } = this.#deps;
    const before = agents.certificateEnd(machine.id) ?? 0;
    try {
      const identity = await authority.issue(machine.id);
      if (before > clock.now()) await client.putIdentity(machine, identity);
      else await renewByProvider(this.#deps.providers.get(providerOf(machine.zone)), machine, identity);
      const end = Date.parse(new X509Certificate(identity.certificate).validTo);
      agents.noteCertificateEnd(machine.id, end);
      this.#troubles.delete(machine.id);
      await records.transact(() => ({
        write: [],
        events: [
          {
            level: 'info',
            kind: 'certificate-renewed',
            message: `${machine.id} has a new certificate, good until ${dayOf(end)}`,
            machine: machine.id,
          },
        ],
      }));
    } catch (error) {
      logger.warn({ machine: machine.id, err: error }, 'a certificate could not be renewed; it is tried again');
      await this.#note(machine, before, messageOf(error));
    }
  }

  async #note(machine: MachineRecord, end: number, reason: string): Promise<void> {
    const { authority, clock, records } = this.#deps;
    const left = end - clock.now();
    const told = this.#troubles.get(machine.id)?.told ?? false;
    const urgent = left < authority.lifetimeMs * URGENT_SHARE;
    const when = left > 0 ? `ends on ${dayOf(end)}` : 'has ended';
    const sentence = `the certificate of ${machine.id} ${when} and cannot be renewed: ${reason}`;
    const retryAt = clock.now() + Math.max(LOOK_MS, Math.min(RETRY_MS, left / 10));
    this.#troubles.set(machine.id, { retryAt, sentence, told: told || urgent });
    if (told || !urgent) return;
    await records.transact(() => ({
      write: [],
      events: [{ level: 'error', kind: 'certificate-trouble', message: sentence, machine: machine.id }],
    }));
  }

  async #judgeAuthority(): Promise<void> {
    const { authority, clock, records } = this.#deps;
    const end = await authority.end();
    if (end - clock.now() > AUTHORITY_WARNING_MS) return;
    const sentence = `the cluster's authority ends on ${dayOf(end)}; after that no machine can be spoken to`;
    this.#authorityTrouble = sentence;
    if (this.#authorityTold) return;
    this.#authorityTold = true;
    await records.transact(() => ({
      write: [],
      events: [{ level: 'error', kind: 'certificate-trouble', message: sentence }],
    }));
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString();
}
