import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdServer } from '../fakes/etcd-servers.ts';
import { eventually } from '../suites/eventually.ts';
import { callerOf } from './caller-of.ts';
import type { Fault } from './fault-plan.ts';
import { Link } from './link.ts';
import { MachineLinks, machinesIn } from './machine-links.ts';
import { processesWith } from './processes-with.ts';
import { SitterUnderTest } from './sitter-under-test.ts';

const SIZE = 3;
/** A process that was just ended may have been writing there. */
const PATIENTLY = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
const memberName = (n: number): string => `member-${n}`;
const sitterName = (n: number): string => `sitter-${n}`;

/** Three members of etcd, three cluster sitters and the machines of this host that these make, and the wires between them. */
export class Field {
  readonly folder: string;
  readonly members: readonly EtcdServer[];
  readonly sitters: readonly SitterUnderTest[];
  /** By which the others reach each member. */
  readonly #peerLinks: readonly Link[];
  /** By which the cluster sitters reach each machine. */
  readonly #machineLinks: MachineLinks;

  private constructor(
    folder: string,
    members: readonly EtcdServer[],
    links: readonly Link[],
    sitters: readonly SitterUnderTest[],
  ) {
    this.folder = folder;
    this.members = members;
    this.#peerLinks = links;
    this.sitters = sitters;
    const whoCalls = (port: number, link: number): string =>
      callerOf(port, link, new Map(sitters.map(({ pid }, n) => [sitterName(n), pid]))) ?? 'somebody';
    this.#machineLinks = new MachineLinks(this.machinesFolder, whoCalls);
  }

  /** The members run; for the sitters see `up`. Whoever makes it closes it. */
  static async make(): Promise<Field> {
    const folder = mkdtempSync(join(tmpdir(), 'cerebro-consistency-'));
    const links: Link[] = [];
    let members: readonly EtcdServer[] = [];
    const whoCalls = (port: number, link: number): string =>
      callerOf(port, link, new Map(members.map((member, n) => [memberName(n), member.pid]))) ?? 'somebody';
    members = await EtcdServer.startCluster(SIZE, async (peerPort) => {
      const link = await Link.to(peerPort, whoCalls);
      links.push(link);
      return link.port;
    });
    const ports = members.map(({ url }) => Number(new URL(url).port));
    const sitters: SitterUnderTest[] = [];
    for (let n = 0; n < SIZE; n++) sitters.push(await SitterUnderTest.make(ports, join(folder, 'machines')));
    return new Field(folder, members, links, sitters);
  }

  /** Resolves when all sitters answer. */
  async up(): Promise<void> {
    this.#machineLinks.start();
    for (const sitter of this.sitters) sitter.start();
    await Promise.all(this.sitters.map((sitter) => sitter.up()));
  }

  get machinesFolder(): string {
    return join(this.folder, 'machines');
  }

  /** Begins a fault; the result ends it. */
  async begin(fault: Fault): Promise<() => Promise<void>> {
    const { kind, target, other, delayMs } = fault;
    const member = this.#member(target);
    const sitter = this.#sitter(target);
    switch (kind) {
      case 'member-killed':
        await member.kill();
        return () => member.start();
      case 'member-frozen':
        return this.#freeze(member.pid);
      case 'member-alone':
        return cut(
          this.members.flatMap((_, n) => (n === target ? [] : [this.#wire(n, target), this.#wire(target, n)])),
        );
      case 'members-half-cut':
        return cut([this.#wire(target, other)]);
      case 'sitter-killed':
        return this.#end(sitter, 'SIGKILL');
      case 'sitter-upgraded':
        return this.#end(sitter, 'SIGTERM');
      case 'sitter-frozen':
        return this.#freeze(sitter.pid);
      case 'sitter-without-store':
        return cut(sitter.toStore.map((link) => ({ link, from: undefined })));
      case 'sitter-store-link-cut':
        return cut(sitter.toStore.slice(other, other + 1).map((link) => ({ link, from: undefined })));
      case 'sitter-store-slow':
        return slow(
          sitter.toStore.map((link) => ({ link, from: undefined })),
          delayMs,
        );
      case 'sitter-not-reached':
        return cut([{ link: sitter.toUs, from: undefined }]);
      case 'machine-killed':
        kill(this.#machinePid(target), 'SIGKILL');
        return async () => undefined;
      case 'machine-frozen':
        return this.#freeze(this.#machinePid(target));
      case 'machine-alone':
        return cut(await this.#wiresTo(target, [...this.sitters.keys()]));
      case 'wire-cut':
        return cut(await this.#wiresTo(other, [target]));
      case 'wire-slow':
        return slow(await this.#wiresTo(other, [target]), delayMs);
    }
  }

  /** From some of the cluster sitters to the n-th machine that there is now. */
  async #wiresTo(n: number, sitters: readonly number[]): Promise<Wire[]> {
    const link = await this.#machineLinks.nth(n);
    return link === null ? [] : sitters.map((sitter) => ({ link, from: sitterName(sitter) }));
  }

  /** Ends all of it, also where a part does not end as it should; that is told last. */
  async close(): Promise<void> {
    const problems: unknown[] = [];
    const end = async (part: () => unknown): Promise<void> => {
      try {
        await part();
      } catch (error) {
        problems.push(error);
      }
    };
    for (const sitter of this.sitters) {
      await end(() => sitter.end('SIGKILL'));
      await end(() => sitter.close());
    }
    // Now that nobody starts them again.
    await end(() => endMachines(this.machinesFolder));
    for (const sitter of this.sitters) await end(() => rmSync(sitter.program.folder, PATIENTLY));
    for (const member of this.members) await end(() => member.remove());
    for (const link of this.#peerLinks) await end(() => link.close());
    await end(() => this.#machineLinks.close());
    await end(() => rmSync(this.folder, PATIENTLY));
    if (problems.length > 0) throw new AggregateError(problems, 'the field could not be cleared');
  }

  async #end(sitter: SitterUnderTest, signal: 'SIGKILL' | 'SIGTERM'): Promise<() => Promise<void>> {
    await sitter.end(signal);
    return async () => sitter.start();
  }

  async #freeze(pid: number | null): Promise<() => Promise<void>> {
    kill(pid, 'SIGSTOP');
    return async () => kill(pid, 'SIGCONT');
  }

  /** From one member to another. */
  #wire(from: number, to: number): Wire {
    const link = this.#peerLinks[to];
    if (!link) throw new Error(`there is no member ${to}`);
    return { link, from: memberName(from) };
  }

  #member(n: number): EtcdServer {
    const member = this.members[n];
    if (!member) throw new Error(`there is no member ${n}`);
    return member;
  }

  #sitter(n: number): SitterUnderTest {
    const sitter = this.sitters[n];
    if (!sitter) throw new Error(`there is no cluster sitter ${n}`);
    return sitter;
  }

  /** The sitter of the n-th machine; null: there is none now. */
  #machinePid(n: number): number | null {
    const names = machinesIn(this.machinesFolder);
    const name = names[n % Math.max(1, names.length)];
    if (name === undefined) return null;
    try {
      return JSON.parse(readFileSync(join(this.machinesFolder, name, 'sitter.json'), 'utf8')).pid;
    } catch {
      return null; // it is being made, or ended
    }
  }
}

interface Wire {
  link: Link;
  from: string | undefined;
}

function cut(wires: readonly Wire[]): () => Promise<void> {
  for (const { link, from } of wires) link.cut(from);
  return async () => {
    for (const { link, from } of wires) link.mend(from);
  };
}

function slow(wires: readonly Wire[], delayMs: number): () => Promise<void> {
  for (const { link, from } of wires) link.slow(delayMs, from);
  return async () => {
    for (const { link, from } of wires) link.slow(0, from);
  };
}

/** Their sitters, and all that these run. */
async function endMachines(folder: string): Promise<void> {
  await eventually(() => {
    // In the middle of exec a process has no environment for a moment; whoever is to become a task is not alone.
    const found = processesWith('CEREBRO_HOME', (home) => home.startsWith(`${folder}/`));
    for (const { pid } of found) kill(pid, 'SIGKILL');
    return found.length === 0;
  }, 'nothing of the machines runs any more');
}

function kill(pid: number | null, signal: NodeJS.Signals): void {
  if (pid === null) return;
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended meanwhile
  }
}
