import { z } from 'zod';

/** `ssh-ed25519 AAAA…`, as a line of `ssh-keyscan` has it after the host's name. */
export const hostKey = z
  .string()
  .regex(/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( .*)?$/, 'a host key is "TYPE BASE64", like "ssh-ed25519 AAAAC3…"');

const user = z.string().min(1);
const port = z.number().int().min(1).max(65_535);
/** Files with private keys, tried in this order; `~/` is the daemon's home. */
const keys = z.array(z.string().min(1));
/** Path of an agent's socket; `env` is SSH_AUTH_SOCK. Its keys are tried after the files. */
const agent = z.string().min(1);
/** The keys that the host may have. None given: the one of the first contact is remembered. */
const hostKeys = z.array(hostKey);

const login = {
  user: user.default('root'),
  port: port.default(22),
  keys: keys.default([]),
  agent: agent.optional(),
  host_keys: hostKeys.default([]),
};

/** A host on the way. */
const jump = z.strictObject({ address: z.string().min(1), ...login });
/** Seconds until a connection must stand. */
const connectTimeout = z.number().positive();

/** How machines are logged in to; a provider has it in its settings for all of them. */
export const sshAccess = z.strictObject({
  ...login,
  jump: jump.optional(),
  connect_timeout: connectTimeout.default(15),
});
export type SshAccess = z.infer<typeof sshAccess>;

/** What differs from that, for a zone or one host. */
export const sshOverride = z.strictObject({
  user: user.optional(),
  port: port.optional(),
  keys: keys.optional(),
  agent: agent.optional(),
  host_keys: hostKeys.optional(),
  jump: jump.optional(),
  connect_timeout: connectTimeout.optional(),
});
export type SshOverride = z.infer<typeof sshOverride>;

/** The access with what the overrides say instead, the last of them first. */
export function overridden(access: SshAccess, ...overrides: readonly SshOverride[]): SshAccess {
  const named = overrides.map((override) => Object.entries(override).filter(([, value]) => value !== undefined));
  return { ...access, ...Object.fromEntries(named.flat()) };
}

/** One host, as a connection needs it. */
export interface SshTarget {
  address: string;
  port: number;
  user: string;
  /** Files with private keys. */
  keys: readonly string[];
  agent?: string | undefined;
  hostKeys: readonly string[];
  /** What to do where it shows another key and was set up anew; default: the settings, or our memory of it, are to be mended. */
  otherKeyAdvice?: string;
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
