import { z } from 'zod';

/** What one side of mutual TLS needs: whom it believes, and what it shows itself. All three are PEM. */
export const tlsIdentity = z.strictObject({
  /** The certificates of the cluster's authority. */
  authority: z.string().min(1),
  certificate: z.string().min(1),
  /** The private key. Never shown, logged or put in argv. */
  key: z.string().min(1),
});
export type TlsIdentity = z.infer<typeof tlsIdentity>;

/** Where a machine sitter keeps its own, in its data folder, mode 0600. Whoever deploys the sitter writes it there. */
export const IDENTITY_FILE = 'identity.json';

/** The name in the certificate that commands machines. */
export const CLUSTER_SITTER_NAME = 'cerebro:cluster-sitter';

/** The name in the certificate that a cluster sitter shows to other cluster sitters. It commands nobody. */
export const CLUSTER_DOOR_NAME = 'cerebro:cluster-door';

/** The name in a machine's certificate: it is the machine's for as long as it lives, whatever its address becomes. */
export function machineName(machineId: string): string {
  return `cerebro:machine/${encodeURIComponent(machineId)}`;
}

/** Whether a certificate bears a name; `altNames` is Node's text of its subjectAltName. */
export function bearsName(altNames: string | undefined, name: string): boolean {
  return (altNames ?? '').split(', ').includes(`URI:${name}`);
}

/** The machine that a certificate names, if it names one. */
export function namedMachine(altNames: string | undefined): string | undefined {
  const found = /(?:^|, )URI:cerebro:machine\/([^,\s]+)/.exec(altNames ?? '')?.[1];
  return found === undefined ? undefined : decodeURIComponent(found);
}

/** Lives are renewed when less than this share of them is left. */
export const RENEWAL_SHARE = 1 / 3;
