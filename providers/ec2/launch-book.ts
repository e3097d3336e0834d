import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Logger } from '../../core/contracts/logger.ts';
import type { MachineOrder } from '../../core/contracts/machine-provider.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';

/** An order without its certificate: that is another one each time, and a new one is asked for when it is needed. */
export type NotedOrder = Omit<MachineOrder, 'identity'>;

const order = z.object({
  clusterId: z.string(),
  machineId: z.string(),
  zone: z.string(),
  type: z.object({ name: z.string(), cpu: z.number(), mem: z.number(), price: z.number().optional() }),
  intent: z.string(),
  token: z.string(),
});

const launch = z.object({
  order: order.transform((read) => read as NotedOrder),
  /** Known as soon as EC2 has answered. */
  ref: z.string().nullable(),
  /** Milliseconds since the epoch until when it may exist without being seen; 0: nothing was ever sent for it. */
  hiddenUntil: z.number(),
});
export type Launch = z.infer<typeof launch>;

/**
 * The machines on their way: ordered, and not ready yet. Each is a file, written before EC2 is asked, so that a cluster sitter that is
 * started again goes on preparing them, and knows of those that EC2 does not show yet. What is ready, or gone, is taken out.
 */
export class LaunchBook {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #launches = new Map<string, Launch>();

  constructor(folder: string, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
  }

  open(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith('.json')) continue;
      try {
        const read = launch.parse(JSON.parse(readFileSync(join(this.#folder, name), 'utf8')));
        this.#launches.set(read.order.machineId, read);
      } catch (error) {
        // The instance itself bears its tags: it is told of, and replaced if it does not come up.
        this.#logger.error({ file: name, err: error }, 'the file of an EC2 machine on its way cannot be read');
      }
    }
  }

  close(): void {
    this.#launches.clear();
  }

  get(machineId: string): Launch | undefined {
    return this.#launches.get(machineId);
  }

  all(): Launch[] {
    return [...this.#launches.values()];
  }

  /** On disk when it returns. */
  write(order: NotedOrder, change: { ref: string | null; hiddenUntil: number }): void {
    const { clusterId, machineId, zone, type, intent, token } = order;
    const after: Launch = { order: { clusterId, machineId, zone, type, intent, token }, ...change };
    const path = this.#path(order.machineId);
    try {
      writeFileSync(`${path}.new`, JSON.stringify(after), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      const full = systemCode(error) === 'ENOSPC';
      throw new CerebroError(
        full ? 'no_space' : 'unavailable',
        `the order of ${order.machineId} cannot be written down in ${this.#folder}, so EC2 is not asked: ${messageOf(error)}`,
        { cause: error },
      );
    }
    this.#launches.set(order.machineId, after);
  }

  remove(machineId: string): void {
    this.#launches.delete(machineId);
    if (existsSync(this.#folder)) rmSync(this.#path(machineId), { force: true });
  }

  #path(machineId: string): string {
    return join(this.#folder, `${encodeURIComponent(machineId)}.json`);
  }
}
