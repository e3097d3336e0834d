import type { TlsIdentity } from '../model/tls-identity.ts';

/**
 * Makes what a machine's sitter proves itself with to the cluster, and knows the cluster by. Each call makes a new key and
 * certificate; all of one machine are equally good until they end, since the cluster pins the machine's id and nothing else.
 */
export interface IdentityIssuer {
  /** Throws `unavailable` when the store that holds the authority does not answer. */
  issue(machineId: string): Promise<TlsIdentity>;
}

/** The service `identities` of plugins: what a provider needs that puts machine sitters onto machines by itself. */
export interface MachineIdentities extends IdentityIssuer {
  /**
   * Resolves when the machine sitter at `endpoint` (https://ADDRESS:PORT) answers this cluster sitter over mutual TLS, and is that of
   * this machine. Asks once; throws `unavailable` with why not.
   */
  greet(machineId: string, endpoint: string): Promise<void>;
}
