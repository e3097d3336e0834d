import { z } from 'zod';

/** `ssh-ed25519 AAAA…`, as a line of `ssh-keyscan` has it after the host's name. */
export const hostKey = z
  .string()
  .regex(/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( .*)?$/, 'a host key is "TYPE BASE64", like "ssh-ed25519 AAAAC3…"');

const login = {
  user: z.string().min(1).default('root'),
  port: z.number().int().min(1).max(65_535).default(22),
  /** Files with private keys, tried in this order; `~/` is the daemon's home. */
  keys: z.array(z.string().min(1)).default([]),
  /** Path of an agent's socket; `env` is SSH_AUTH_SOCK. Its keys are tried after the files. */
  agent: z.string().min(1).optional(),
  /** The keys that the host may have. None given: the one of the first contact is remembered. */
  host_keys: z.array(hostKey).default([]),
};

/** A host on the way. */
export const sshJump = z.strictObject({ address: z.string().min(1), ...login });

/** How machines are logged in to; providers have it in their settings, for all machines or by zone. */
export const sshAccess = z.strictObject({
  ...login,
  jump: sshJump.optional(),
  /** Seconds until a connection must stand. */
  connect_timeout: z.number().positive().default(15),
});
export type SshAccess = z.infer<typeof sshAccess>;

/** One host, as a connection needs it. */
export interface SshTarget {
  address: string;
  port: number;
  user: string;
  /** Files with private keys. */
  keys: readonly string[];
  agent?: string | undefined;
  hostKeys: readonly string[];
  /** Under which name its key is remembered. Where addresses are used again (a cloud), the instance's own name. */
  pinName: string;
  jump?: SshTarget | undefined;
  connectTimeoutMs: number;
}

export function sshTarget(address: string, access: SshAccess, pinName?: string): SshTarget {
  const connectTimeoutMs = access.connect_timeout * 1000;
  const { jump } = access;
  return {
    ...loginOf(address, access, pinName),
    connectTimeoutMs,
    jump: jump && { ...loginOf(jump.address, jump), connectTimeoutMs },
  };
}

/** How OpenSSH writes a host in known_hosts. */
export function pinNameOf(address: string, port: number): string {
  return port === 22 ? address : `[${address}]:${port}`;
}

function loginOf(
  address: string,
  login: Omit<SshAccess, 'jump' | 'connect_timeout'>,
  pinName = pinNameOf(address, login.port),
): Omit<SshTarget, 'jump' | 'connectTimeoutMs'> {
  const { user, port, keys, agent, host_keys } = login;
  return { address, port, user, keys, agent, hostKeys: host_keys, pinName };
}
