import { z } from 'zod';

/** One host, as `ssh` needs it. */
const sshHost = z.strictObject({
  address: z.string(),
  port: z.number().int(),
  user: z.string(),
  /** Files with private keys, on the cluster sitter's host. The keys themselves never leave it. */
  keys: z.array(z.string()),
  agent: z.string().nullable(),
  /** `TYPE BASE64` each: what the host may show. */
  hostKeys: z.array(z.string()).min(1),
});
export type SshHostLogin = z.infer<typeof sshHost>;

/** How a person gets onto a machine. */
export const machineLogin = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ssh'), machine: z.string(), host: sshHost, jump: sshHost.nullable() }),
  /** The machine is a folder of the cluster sitter's host. */
  z.strictObject({ kind: z.literal('folder'), machine: z.string(), folder: z.string() }),
]);
export type MachineLogin = z.infer<typeof machineLogin>;
