import { z } from 'zod';

const PORT = z.number().int().min(1).max(65_535);
const HOST_AND_PORT = /^((\[[0-9a-f:.]+\]|[^\s:/[\]]+):)?(\d{1,5})$/i;

/** `8080`, or `host:port`; a bare port is one of this host. */
const tcpTarget = z
  .union([PORT, z.string().regex(HOST_AND_PORT, 'expected a port, or host:port')], 'expected a port, or host:port')
  .transform((target) => (/^\d+$/.test(String(target)) ? `127.0.0.1:${target}` : String(target)))
  .refine(
    (target) => PORT.safeParse(Number(target.slice(target.lastIndexOf(':') + 1))).success,
    'expected a port from 1 to 65535',
  );

/** A URL, or `:8080/path` for one of this host. */
const httpTarget = z
  .string()
  .transform((target) => (target.startsWith(':') ? `http://127.0.0.1${target}` : target))
  .pipe(z.url({ protocol: /^https?$/, error: 'expected a URL like http://127.0.0.1:8080/health, or :8080/health' }))
  .refine((url) => !URL.canParse(url) || new URL(url).port !== '0', 'expected a port from 1 to 65535');

/** How to ask a running task whether it is well. Times are seconds. */
export const healthCheck = z
  .strictObject({
    /** Well is an answer with a status below 400. */
    http: httpTarget.optional(),
    /** Well is a connection. */
    tcp: tcpTarget.optional(),
    /** Run by a shell as the task's user, with its environment, in its folder; well is exit code 0. */
    command: z.string().min(1).max(65_536).optional(),
    /** From the end of one question to the next. */
    interval: z.number().min(0.1).max(86_400).default(5),
    /** An answer that takes longer is none. */
    timeout: z.number().min(0.05).max(3600).default(2),
    /** After the start of a run: failures do not count before it has been well once, or before this is over. */
    start_period: z.number().min(0).max(86_400).default(10),
    /** So many failures in a row make it unhealthy. */
    failures: z.number().int().min(1).max(1000).default(3),
  })
  .refine(
    (check) => [check.http, check.tcp, check.command].filter((target) => target !== undefined).length === 1,
    'expected one of http, tcp and command',
  );
export type HealthCheck = z.infer<typeof healthCheck>;

/** `starting`: not well yet, and it may still take its time. */
export const healthState = z.enum(['starting', 'healthy', 'unhealthy']);
export type HealthState = z.infer<typeof healthState>;
