import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { IdentityIssuer } from '../../contracts/identity-issuer.ts';
import type { StateStore } from '../../contracts/state-store.ts';
import { CerebroError } from '../../errors.ts';
import type { TlsIdentity } from '../../model/tls-identity.ts';
import type { AuthorityRecord, Bearer } from './issue-certificate.ts';

const KEY = 'tls/authority';
/** Others may make the first authority at the same time; one of them wins, and the rest read what it made. */
const ATTEMPTS = 5;

/** Who issues what both sides prove themselves with. */
export interface Authority extends IdentityIssuer {
  /** How long what it issues is good. */
  readonly lifetimeMs: number;
  issueForClusterSitter(): Promise<TlsIdentity>;
  /** For the door by which a cluster sitter lets others in. */
  issueForDoor(): Promise<TlsIdentity>;
  /** When the authority itself ends (ms since the epoch). */
  end(): Promise<number>;
}

export interface CertificateAuthorityDeps {
  store: Pick<StateStore, 'get' | 'commit'>;
  clock: Clock;
  lifetimeMs: number;
}

/**
 * The cluster's own authority: whoever has a certificate of it belongs to the cluster. It is made on first use and kept in the store,
 * where every cluster sitter finds it; ARCHITECTURE.md says why there.
 */
export class CertificateAuthority implements Authority {
  readonly lifetimeMs: number;
  readonly #store: CertificateAuthorityDeps['store'];
  readonly #clock: Clock;
  #record: Promise<AuthorityRecord> | null = null;

  constructor(deps: CertificateAuthorityDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.lifetimeMs = deps.lifetimeMs;
  }

  issue(machineId: string): Promise<TlsIdentity> {
    return this.#issue({ kind: 'machine', id: machineId });
  }

  /** What a cluster sitter shows to machines. It is kept in memory alone: each start makes a new one. */
  issueForClusterSitter(): Promise<TlsIdentity> {
    return this.#issue({ kind: 'cluster-sitter' });
  }

  issueForDoor(): Promise<TlsIdentity> {
    return this.#issue({ kind: 'cluster-door' });
  }

  async end(): Promise<number> {
    return Date.parse(new X509Certificate((await this.#authority()).certificate).validTo);
  }

  async #issue(bearer: Bearer): Promise<TlsIdentity> {
    const { issueCertificate } = await import('./issue-certificate.ts');
    return issueCertificate(await this.#authority(), bearer, this.#clock.now(), this.lifetimeMs);
  }

  #authority(): Promise<AuthorityRecord> {
    this.#record ??= this.#readOrCreate().catch((error: unknown) => {
      this.#record = null; // the store may answer the next time
      throw error;
    });
    return this.#record;
  }

  async #readOrCreate(): Promise<AuthorityRecord> {
    // The library takes a tenth of a second to load; a machine sitter never needs it.
    const { authorityRecord, createAuthority } = await import('./issue-certificate.ts');
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const entry = await this.#store.get(KEY);
      if (entry) {
        const result = authorityRecord.safeParse(entry.value);
        if (result.success) return result.data;
        throw new CerebroError('internal', `the record ${KEY} in the store cannot be read; restore it from a backup`);
      }
      const made = await createAuthority(this.#clock.now());
      const { ok } = await this.#store.commit({
        when: [{ key: KEY, revision: 0 }],
        write: [{ put: KEY, value: made }],
      });
      if (ok) return made;
    }
    throw new CerebroError('unavailable', "the cluster's authority could not be read from the store; try again");
  }
}
