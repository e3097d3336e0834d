import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuthorityRecord,
  type Bearer,
  createAuthority,
  issueCertificate,
} from '../../core/cluster/access/issue-certificate.ts';
import { MachineAgents } from '../../core/cluster/machines/machine-agents.ts';
import { MachineClient } from '../../core/cluster/machines/machine-client.ts';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';

export const HOUR = 3600_000;

/** An authority of the test's own. */
export class TestAuthority {
  readonly record: AuthorityRecord;

  private constructor(record: AuthorityRecord) {
    this.record = record;
  }

  static async create(): Promise<TestAuthority> {
    return new TestAuthority(await createAuthority(Date.now()));
  }

  /** Good for `lifeMs` from `now` on; both may lie in the past. */
  issue(bearer: Bearer, lifeMs = HOUR, now = Date.now()): Promise<TlsIdentity> {
    return issueCertificate(this.record, bearer, now, lifeMs);
  }

  machine(id: string, lifeMs = HOUR, now = Date.now()): Promise<TlsIdentity> {
    return this.issue({ kind: 'machine', id }, lifeMs, now);
  }
}

/** A machine sitter in this process, on a free port, with the certificate that it is given. */
export class MachineWithCertificate {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-tls-'));
  #daemon: Daemon | null = null;

  async start(identity: TlsIdentity | string, host = '127.0.0.1', more = {}): Promise<void> {
    this.write(identity);
    this.#daemon = await createDaemon({
      mode: 'machine',
      settings: readSettings(undefined, { data_dir: this.folder, host, ...more }),
      pluginsFile: undefined,
      logFile: join(this.folder, 'log'),
      portFallback: true,
      onStopRequested: () => undefined,
    });
    await this.#daemon.start();
  }

  write(identity: TlsIdentity | string): void {
    const text = typeof identity === 'string' ? identity : JSON.stringify(identity);
    writeFileSync(join(this.folder, 'identity.json'), text, { mode: 0o600 });
  }

  get daemon(): Daemon {
    if (this.#daemon === null) throw new Error('it was not started');
    return this.#daemon;
  }

  get port(): number {
    return Number(new URL(this.daemon.url).port);
  }

  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }

  /** What a cluster sitter knows of it. */
  record(id: string): MachineRecord {
    return { id, endpoint: `https://127.0.0.1:${this.port}`, zone: 'fake-a', state: 'ready' } as MachineRecord;
  }

  /** Over plain HTTP, as people of this host do. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.daemon.adminToken}`, 'content-type': 'application/json' },
    });
  }

  async remove(): Promise<void> {
    await this.#daemon?.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }
}

export interface ClientUnderTest {
  client: MachineClient;
  agents: MachineAgents;
}

export function clientWith(issue: () => Promise<TlsIdentity>, epoch = 1): ClientUnderTest {
  const agents = new MachineAgents({ issue, lifetimeMs: HOUR, clock: new SystemClock() });
  return { agents, client: new MachineClient(() => epoch, agents) };
}
