/** How to lay hands on a machine: where it is, who we are there, and whom to expect. */
export interface SshTarget {
  machineId: string;
  address: string;
  user: string;
  port: number;
  /** Paths of private keys, in the order in which they are tried. */
  keys: readonly string[];
  /** `ssh-ed25519 AAAA…`, as EC2 has it in the machine's tags. */
  hostKey: string;
}
