import type { HostKeyPins } from './host-key-pins.ts';
import { SshConnection } from './ssh-connection.ts';
import { SshRemote } from './ssh-remote.ts';
import type { SshTarget } from './ssh-target.ts';

const IDLE_MS = 60_000;

interface Shared {
  opening: Promise<SshConnection>;
  open: SshConnection | null;
  users: number;
  idle: NodeJS.Timeout | null;
}

/**
 * A provider's connections: remotes of one host share one, and one that nobody uses is kept for a minute. The provider makes it
 * with itself, asks it for remotes, and closes it when it stops.
 */
export class SshConnections {
  readonly pins: HostKeyPins;
  readonly #shared = new Map<string, Shared>();
  readonly #idleMs: number;
  #closed = false;

  constructor(pins: HostKeyPins, idleMs = IDLE_MS) {
    this.pins = pins;
    this.#idleMs = idleMs;
  }

  /** Opens the connection where none stands: whether the host can be logged in to, before anything is asked of it. */
  async reach(target: SshTarget): Promise<void> {
    await this.use(target, async () => undefined);
  }

  /** `folder`: where its commands run and its relative paths are; relative to the user's home, which it is by default. */
  remote(target: SshTarget, folder?: string, env?: Readonly<Record<string, string>>): SshRemote {
    return new SshRemote({ connections: this, target, folder, ...(env && { env }) });
  }

  /** Does something over the host's connection, which is opened when none stands. */
  async use<T>(target: SshTarget, work: (connection: SshConnection) => Promise<T>): Promise<T> {
    const key = JSON.stringify(target);
    const shared = this.#take(key, target);
    try {
      return await work(await shared.opening);
    } finally {
      this.#letGo(key, shared);
    }
  }

  close(): void {
    this.#closed = true;
    for (const shared of this.#shared.values()) {
      if (shared.idle) clearTimeout(shared.idle);
      shared.open?.close();
    }
    this.#shared.clear();
  }

  #take(key: string, target: SshTarget): Shared {
    const known = this.#shared.get(key);
    if (known && (known.open === null || known.open.alive)) {
      if (known.idle) clearTimeout(known.idle);
      known.idle = null;
      known.users += 1;
      return known;
    }
    const made: Shared = { opening: SshConnection.open(target, this.pins), open: null, users: 1, idle: null };
    this.#closed = false;
    this.#shared.set(key, made);
    made.opening.then(
      (connection) => {
        made.open = connection;
        if (this.#closed) connection.close();
      },
      () => {
        if (this.#shared.get(key) === made) this.#shared.delete(key);
      },
    );
    return made;
  }

  #letGo(key: string, shared: Shared): void {
    shared.users -= 1;
    if (shared.users > 0 || shared.open === null) return;
    const end = (): void => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
      shared.open?.close();
    };
    if (this.#closed || this.#shared.get(key) !== shared || !shared.open.alive) end();
    else shared.idle = setTimeout(end, this.#idleMs).unref();
  }
}
