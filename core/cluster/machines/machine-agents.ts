import type { PeerCertificate } from 'node:tls';
import { Agent } from 'undici';
import type { Clock } from '../../contracts/clock.ts';
import { CerebroError } from '../../errors.ts';
import { bearsName, machineName, namedMachine, RENEWAL_SHARE, type TlsIdentity } from '../../model/tls-identity.ts';

const CONNECT_MS = 5000;

export interface MachineAgentsDeps {
  /** A certificate of this cluster sitter's own, good for `lifetimeMs`. */
  issue(): Promise<TlsIdentity>;
  lifetimeMs: number;
  clock: Pick<Clock, 'now'>;
}

/** The connections to one machine. */
export interface MachineLines {
  calls: Agent;
  /** Streams without an end have connections of their own: commands must never wait for a reader. */
  streams: Agent;
}

/**
 * The connections to machines, each over mutual TLS: we show a certificate of the cluster sitter, and talk only with whoever shows the
 * one of that very machine. The machine's id is what counts, so that it may change its address, and no other may take it over.
 */
export class MachineAgents {
  readonly #deps: MachineAgentsDeps;
  readonly #lines = new Map<string, MachineLines>();
  /** Those with an older certificate of ours; what goes over them may end first. */
  readonly #retired = new Set<Agent>();
  readonly #ends = new Map<string, number>();
  #identity: Promise<TlsIdentity> | null = null;
  #renewAt = 0;
  #closed = false;

  constructor(deps: MachineAgentsDeps) {
    this.#deps = deps;
  }

  async of(machineId: string): Promise<MachineLines> {
    const identity = await this.#ownIdentity();
    if (this.#closed) throw new CerebroError('unavailable', 'the connections to machines are closed');
    const known = this.#lines.get(machineId);
    if (known) return known;
    const connect = {
      ca: identity.authority,
      cert: identity.certificate,
      key: identity.key,
      minVersion: 'TLSv1.3' as const,
      timeout: CONNECT_MS,
      // A resumed session is not asked for its certificate again.
      maxCachedSessions: 0,
      checkServerIdentity: (host: string, certificate: PeerCertificate) => this.#check(machineId, host, certificate),
    };
    const lines = {
      calls: new Agent({ connections: 8, keepAliveTimeout: 30_000, connect }),
      streams: new Agent({ keepAliveTimeout: 1000, connect }),
    };
    this.#lines.set(machineId, lines);
    return lines;
  }

  /** When the certificate that a machine last showed (or was last given) ends, in ms since the epoch; undefined: it was not spoken to yet. */
  certificateEnd(machineId: string): number | undefined {
    return this.#ends.get(machineId);
  }

  noteCertificateEnd(machineId: string, end: number): void {
    this.#ends.set(machineId, end);
  }

  /** The machine is gone. */
  forget(machineId: string): void {
    const lines = this.#lines.get(machineId);
    this.#lines.delete(machineId);
    this.#ends.delete(machineId);
    if (lines) this.#retire(lines);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#lines.values()].flatMap(({ calls, streams }) => [calls, streams]);
    this.#lines.clear();
    await Promise.all([...open, ...this.#retired].map((agent) => agent.destroy()));
    this.#retired.clear();
  }

  #check(machineId: string, host: string, certificate: PeerCertificate): Error | undefined {
    if (!bearsName(certificate.subjectaltname, machineName(machineId))) {
      const other = namedMachine(certificate.subjectaltname);
      return new CerebroError(
        'unavailable',
        `what answers at ${host} is not ${machineId}: its certificate names ${other === undefined ? 'no machine' : other}`,
      );
    }
    this.#ends.set(machineId, Date.parse(certificate.valid_to));
    return undefined;
  }

  #ownIdentity(): Promise<TlsIdentity> {
    const { clock, lifetimeMs, issue } = this.#deps;
    if (this.#identity !== null && clock.now() < this.#renewAt) return this.#identity;
    for (const lines of this.#lines.values()) this.#retire(lines);
    this.#lines.clear();
    this.#renewAt = clock.now() + lifetimeMs * (1 - RENEWAL_SHARE);
    this.#identity = issue().catch((error: unknown) => {
      this.#identity = null;
      throw error;
    });
    return this.#identity;
  }

  /** Its calls may come to their end; a stream of events or of a log has none, and is dropped with the machine or at the end. */
  #retire({ calls, streams }: MachineLines): void {
    for (const agent of [calls, streams]) {
      this.#retired.add(agent);
      agent.close().then(
        () => this.#retired.delete(agent),
        () => this.#retired.delete(agent), // it was destroyed meanwhile
      );
    }
  }
}
