import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import {
  changedHostKey,
  fingerprint,
  type HostKey,
  type HostKeyPins,
  hostKeyOf,
  parseHostKey,
} from './host-key-pins.ts';
import { type Credential, sshCredentials } from './ssh-credentials.ts';
import type { SshTarget } from './ssh-target.ts';

/** OpenSSH refuses an eleventh session of a connection (MaxSessions), and ends one after six wrong keys (MaxAuthTries). */
const MAX_SESSIONS = 6;
/** sshd counts a session until it has reaped its process, which can be after we have seen its end: so one more is asked for again. */
const OPEN_TRIES = 40;
const OPEN_AGAIN_MS = 250;
const KEYS_AT_ONCE = 5;
const KEEPALIVE_MS = 5000;
const KEEPALIVES_MISSED = 3;

/** A command line that was started. */
export interface StartedLine {
  channel: ClientChannel;
  /** How it has ended; null: not yet. Noted from the first moment: its end can be in the same packet as its beginning. */
  ended: { code: number | null; signal: string | null } | null;
}

/** One connection to one host, over its jump host where it has one. */
export class SshConnection {
  readonly target: SshTarget;
  readonly #client: Client;
  readonly #jump: SshConnection | null;
  #alive = true;
  #sessions = 0;
  #waiting: (() => void)[] = [];

  private constructor(target: SshTarget, client: Client, jump: SshConnection | null) {
    this.target = target;
    this.#client = client;
    this.#jump = jump;
    const ended = (): void => {
      this.#alive = false;
      for (const go of this.#waiting.splice(0)) go();
      this.#jump?.close();
    };
    client.on('error', ended);
    client.on('close', ended);
  }

  /** Throws `unavailable`, `timeout`, `unauthorized`, `forbidden` (wrong host key) or `invalid` (no usable key). */
  static async open(target: SshTarget, pins: HostKeyPins): Promise<SshConnection> {
    const credentials = sshCredentials(target);
    const jump = target.jump ? await SshConnection.open(target.jump, pins) : null;
    try {
      for (let n = 0; n < credentials.length; n += KEYS_AT_ONCE) {
        const sock = await jump?.forward(target.address, target.port);
        const client = await login(target, pins, credentials.slice(n, n + KEYS_AT_ONCE), sock);
        if (client) return new SshConnection(target, client, jump);
      }
    } catch (error) {
      jump?.close();
      throw error;
    }
    jump?.close();
    throw new CerebroError(
      'unauthorized',
      `${where(target)} accepted no key for the user "${target.user}" (tried: ${credentials.map(({ name }) => name).join(', ')}); put the public one into its authorized_keys`,
    );
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Starts a command line there. Waits for a free session; the caller has the deadline. Throws `unavailable`. */
  async exec(line: string): Promise<StartedLine> {
    while (this.#sessions >= MAX_SESSIONS && this.#alive) await new Promise<void>((go) => this.#waiting.push(go));
    if (!this.#alive) throw new CerebroError('unavailable', `the connection to ${where(this.target)} broke`);
    this.#sessions += 1;
    const free = (): void => {
      this.#sessions -= 1;
      this.#waiting.shift()?.();
    };
    for (let attempt = 1; ; attempt++) {
      const started = await this.#open(line);
      if (!(started instanceof Error)) {
        started.channel.once('close', free);
        return started;
      }
      if (attempt >= OPEN_TRIES || !this.#alive || !/open failed/i.test(started.message)) {
        free();
        throw new CerebroError('unavailable', `${where(this.target)} starts no command: ${started.message}`);
      }
      await new Promise<void>((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
    }
  }

  #open(line: string): Promise<StartedLine | Error> {
    return new Promise((resolve) => {
      try {
        this.#client.exec(line, (error, channel) => {
          if (error) return resolve(error);
          const started: StartedLine = { channel, ended: null };
          channel.once('exit', (code: number | null, signal?: string) => {
            started.ended = { code: typeof code === 'number' ? code : null, signal: signal ?? null };
          });
          resolve(started);
        });
      } catch (error) {
        // ssh2 throws where the connection has ended just now.
        resolve(error instanceof Error ? error : new Error(messageOf(error)));
      }
    });
  }

  /** A stream to another host, through this one. */
  forward(address: string, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      this.#client.forwardOut('127.0.0.1', 0, address, port, (error, stream) => {
        if (!error) return resolve(stream);
        const text = `the jump host ${where(this.target)} does not reach ${address}:${port}: ${error.message}`;
        reject(new CerebroError('unavailable', text));
      });
    });
  }

  close(): void {
    this.#client.end();
    // Whoever does not answer any more does not say goodbye either.
    this.#client.destroy();
    this.#jump?.close();
  }
}

export function where(target: Pick<SshTarget, 'address' | 'port'>): string {
  return `${target.address}:${target.port}`;
}

/** undefined: the host is the right one, and accepts none of these. */
function login(
  target: SshTarget,
  pins: HostKeyPins,
  credentials: readonly Credential[],
  sock: Duplex | undefined,
): Promise<Client | undefined> {
  const given = target.hostKeys.map(parseHostKey);
  const known = given.length > 0 ? given : pins.of(target.pinName);
  const mend = given.length > 0 ? 'mend "host_keys" in the settings' : `take its line out of ${pins.path}`;
  const advice = target.otherKeyAdvice ?? mend;
  let shown: HostKey | undefined;
  let refused: CerebroError | undefined;
  const config: ConnectConfig = {
    ...(sock ? { sock } : { host: target.address, port: target.port }),
    username: target.user,
    authHandler: credentials.map(({ method }) => method),
    readyTimeout: target.connectTimeoutMs,
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVES_MISSED,
    // Asked for by kind: else a host with several keys might show one that is not the remembered one.
    ...(known.length > 0 && { algorithms: { serverHostKey: algorithmsOf(known) } }),
    hostVerifier: (blob: Buffer) => {
      shown = hostKeyOf(blob);
      if (known.length === 0 || known.some((key) => key.blob.equals(blob))) return true;
      refused = changedHostKey(target.pinName, known, shown, advice);
      return false;
    },
  };
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    const fail = (error: CerebroError | undefined): void => {
      clearTimeout(timer);
      client.removeAllListeners();
      client.on('error', () => undefined); // its last words about a connection that is given up
      client.destroy();
      if (error) reject(error);
      else resolve(undefined);
    };
    const timer = setTimeout(() => {
      fail(
        new CerebroError('timeout', `${where(target)} gave no SSH login within ${target.connectTimeoutMs / 1000} s`),
      );
    }, target.connectTimeoutMs + 100);
    client.on('error', (error) => {
      if (error.level === 'agent') return; // the next candidate is tried
      if (error.level === 'client-authentication') return fail(undefined);
      const otherKind = known.length > 0 && /no matching host key/i.test(error.message);
      fail(
        refused ?? (otherKind ? changedHostKey(target.pinName, known, undefined, advice) : troubleOf(target, error)),
      );
    });
    client.once('close', () =>
      fail(new CerebroError('unavailable', `${where(target)} closed the connection during the login`)),
    );
    client.once('ready', () => {
      try {
        if (known.length === 0 && shown) pins.add(target.pinName, shown);
      } catch (error) {
        return fail(
          error instanceof CerebroError
            ? error
            : new CerebroError(
                'internal',
                `the host key ${fingerprint(shown ?? hostKeyOf(Buffer.alloc(0)))} cannot be remembered: ${messageOf(error)}`,
              ),
        );
      }
      clearTimeout(timer);
      client.removeAllListeners('error').removeAllListeners('close');
      resolve(client);
    });
    client.connect(config);
  });
}

function algorithmsOf(
  known: readonly HostKey[],
): NonNullable<NonNullable<ConnectConfig['algorithms']>['serverHostKey']> {
  const names = known.flatMap(({ type }) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
  return [...new Set(names)] as ReturnType<typeof algorithmsOf>;
}

function troubleOf(target: SshTarget, error: Error & { level?: string }): CerebroError {
  const code = systemCode(error);
  const cause = { cause: error };
  if (error.level === 'client-timeout')
    return new CerebroError(
      'timeout',
      `${where(target)} gave no SSH login within ${target.connectTimeoutMs / 1000} s`,
      cause,
    );
  const words: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there; is sshd running, and is the port right?',
    EHOSTUNREACH: 'there is no way to this host',
    ENETUNREACH: 'there is no way to its network',
    ETIMEDOUT: 'it does not answer',
    ENOTFOUND: 'there is no such host name',
    ECONNRESET: 'it broke off the connection',
  };
  const said = (code !== undefined && words[code]) || error.message;
  return new CerebroError('unavailable', `${where(target)} cannot be reached by SSH: ${said}`, cause);
}
