import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { Logger } from '../contracts/logger.ts';
import { CerebroError, messageOf, systemCode } from '../errors.ts';
import { IDENTITY_FILE, namedMachine, type TlsIdentity, tlsIdentity } from '../model/tls-identity.ts';

/** A file that is being replaced brings several signs of it; they are looked at together. */
const SETTLE_MS = 50;

export interface OwnIdentityDeps {
  folder: string;
  clock: Clock;
  logger: Logger;
}

/** What a machine sitter's certificate says, for people and for the cluster. */
export interface IdentitySummary {
  machine: string;
  /** ISO. */
  notAfter: string;
}

/**
 * What this machine sitter proves itself with to its cluster: a file in its data folder. Whoever deploys the sitter writes the first
 * one; the cluster renews it over the connection that it is for. A file that is put in its place by hand is taken up by itself.
 */
export class OwnIdentity {
  readonly #deps: OwnIdentityDeps;
  readonly #listeners = new Set<(identity: TlsIdentity) => void>();
  #current: TlsIdentity | null = null;
  #watcher: FSWatcher | null = null;
  #timer: Timer | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: OwnIdentityDeps) {
    this.#deps = deps;
  }

  get current(): TlsIdentity | null {
    return this.#current;
  }

  /** A file that cannot be used keeps nobody from running tasks: the sitter then serves its own host alone, and says so. */
  async start(): Promise<void> {
    this.#read();
    try {
      this.#watcher = watch(this.#deps.folder, (_event, name) => {
        if (name === IDENTITY_FILE) this.#timer ??= this.#deps.clock.timer(SETTLE_MS, () => this.#reread());
      });
      this.#watcher.on('error', (error) => this.#deps.logger.warn({ err: error }, UNWATCHED));
    } catch (error) {
      this.#deps.logger.warn({ err: error }, UNWATCHED);
    }
  }

  async stop(): Promise<void> {
    this.#watcher?.close();
    this.#timer?.cancel();
    await this.#turn;
  }

  onChange(listener: (identity: TlsIdentity) => void): void {
    this.#listeners.add(listener);
  }

  /** null: this sitter belongs to no cluster. */
  summary(): IdentitySummary | null {
    if (this.#current === null) return null;
    const certificate = new X509Certificate(this.#current.certificate);
    return {
      machine: namedMachine(certificate.subjectAltName) ?? '',
      notAfter: new Date(certificate.validTo).toISOString(),
    };
  }

  /** Takes a newer certificate of this machine, by the same authority: durable first, then used. Throws `invalid` for any other. */
  take(next: TlsIdentity): Promise<IdentitySummary> {
    const turn = this.#turn.then(() => this.#takeNow(next));
    this.#turn = turn.catch(() => undefined); // the next one's turn comes whatever became of this one
    return turn;
  }

  async #takeNow(next: TlsIdentity): Promise<IdentitySummary> {
    const machine = checked(next);
    const { validTo } = new X509Certificate(next.certificate);
    if (Date.parse(validTo) <= this.#deps.clock.now())
      throw new CerebroError('invalid', `the certificate ended on ${validTo} by this machine's clock`);
    if (this.#current === null) {
      throw new CerebroError(
        'forbidden',
        `this machine sitter belongs to no cluster; its first certificate is put into ${this.#path} by whoever deploys it`,
      );
    }
    const mine = this.summary()?.machine;
    if (mine !== machine)
      throw new CerebroError('invalid', `the certificate is of ${machine}, but this machine is ${mine}`);
    if (!new X509Certificate(next.certificate).verify(new X509Certificate(this.#current.authority).publicKey))
      throw new CerebroError(
        'invalid',
        'the certificate is of another cluster than the one that this machine belongs to',
      );
    const part = `${this.#path}.new`;
    const file = await open(part, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(next));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, this.#path);
    this.#use(next);
    return { machine, notAfter: this.summary()?.notAfter ?? '' };
  }

  #reread(): void {
    this.#timer = null;
    this.#read();
  }

  #read(): void {
    try {
      const text = readFileSync(this.#path, 'utf8');
      const result = tlsIdentity.safeParse(JSON.parse(text));
      // The parser's own words could show what stands in the file.
      if (!result.success) throw new CerebroError('invalid', 'it does not hold authority, certificate and key');
      // One that has ended is shown all the same: the cluster sitter then knows what is the matter, and has it renewed.
      checked(result.data);
      if (JSON.stringify(result.data) !== JSON.stringify(this.#current)) this.#use(result.data);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return;
      const reason = error instanceof SyntaxError ? 'it is not JSON' : messageOf(error);
      this.#deps.logger.error(
        { file: this.#path, reason },
        this.#current === null
          ? 'the certificate of this machine cannot be used: only this host is served until a good one is put there'
          : 'the certificate that was put there cannot be used; the one from before stays in use',
      );
    }
  }

  #use(identity: TlsIdentity): void {
    this.#current = identity;
    this.#deps.logger.info({ ...this.summary() }, 'this machine has a certificate');
    for (const listener of this.#listeners) listener(identity);
  }

  get #path(): string {
    return join(this.#deps.folder, IDENTITY_FILE);
  }
}

const UNWATCHED = 'a certificate that is put into the data folder will be taken up by the next start only';

/** The machine that it is for. Throws `invalid` for parts that do not belong together, or are no machine's. */
function checked(identity: TlsIdentity): string {
  const { authority, certificate } = partsOf(identity);
  const machine = namedMachine(certificate.subjectAltName);
  if (machine === undefined) throw new CerebroError('invalid', 'the certificate names no machine');
  if (!certificate.verify(authority.publicKey))
    throw new CerebroError('invalid', 'the certificate was not issued by the authority beside it');
  if (!certificate.checkPrivateKey(createPrivateKey(identity.key)))
    throw new CerebroError('invalid', 'the key is not that of the certificate');
  return machine;
}

function partsOf(identity: TlsIdentity): { authority: X509Certificate; certificate: X509Certificate } {
  try {
    createPrivateKey(identity.key);
    return {
      authority: new X509Certificate(identity.authority),
      certificate: new X509Certificate(identity.certificate),
    };
  } catch {
    // OpenSSL's words say nothing to anybody, and may quote what they read.
    throw new CerebroError('invalid', 'authority, certificate and key must each be PEM');
  }
}
