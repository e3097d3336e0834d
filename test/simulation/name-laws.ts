import type { DnsChange } from '../../core/contracts/dns-provider.ts';
import { basenameOf } from '../../core/decide/dns/dns-names.ts';
import { isLeaving } from '../../core/decide/dns/dns-serving.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import { type DnsRecord, isFree, sameValues } from '../../core/model/dns.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { Cloud } from './cloud.ts';
import type { Changed, Commit, Ledger } from './ledger.ts';
import { NameDelays } from './name-delays.ts';
import { NameTruth } from './name-truth.ts';
import type { NameZone, ZoneSet } from './name-zone.ts';
import type { NameZones } from './name-zones.ts';
import type { Network } from './network.ts';
import type { Law } from './record-laws.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const LOOK_MS = 1000;
/** A machine that said something this lately (ms) is one whose state is known. */
const HEARD_MS = 3000;

interface Parts {
  world: World;
  ledger: Ledger;
  truth: Cloud;
  zones: NameZones;
  network: Network;
}

/** What must hold for names: with each commit, with each call, and all the time. */
export class NameLaws implements Law {
  readonly #parts: Parts;
  readonly #names: NameTruth;
  readonly #delays: NameDelays;
  /** Since when an answer has been wrong with nothing that could excuse it, by `NAME ADDRESS`. */
  #wrongSince = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#names = new NameTruth(parts.ledger, parts.truth, parts.world.settings);
    this.#delays = new NameDelays(parts.world, parts.network);
  }

  /** Looks at the answers every second, for as long as the world lasts. */
  watch(): void {
    this.#look();
    this.#parts.world.after(LOOK_MS, () => this.watch());
  }

  // --- with each commit ---

  check({ names }: Commit): void {
    for (const change of names) {
      if (change.after?.kind === 'copy') this.#number(change, change.after);
      if (change.before?.kind === 'pool') this.#emptied(change.before, change.after);
    }
  }

  #emptied(before: DnsRecord, after: DnsRecord | undefined): void {
    const { world } = this.#parts;
    if (before.values.length === 0 || (after && after.values.length > 0) || world.settings.dns_allow_empty) return;
    if (this.#names.wanted().has(before.name))
      world.violate(
        'a pool never gets to zero answers by itself',
        `${before.name} is emptied, and "${before.job}" is wanted there`,
      );
  }

  #number({ before }: Changed<DnsRecord>, after: DnsRecord): void {
    const { world, ledger, zones } = this.#parts;
    const wrong = (sentence: string): void => world.violate("a number is one copy's, and stays with it", sentence);
    if (after.copy === null || after.values.length === 0) return;
    if (before && before.copy !== null && before.copy !== after.copy && !isFree(before, world.clock.now()))
      wrong(`${after.name} goes from ${before.copy} to ${after.copy}`);
    for (const other of ledger.dns.values())
      if (other.name !== after.name && other.copy === after.copy && other.values.length > 0 && other.foreign === null)
        if (other.basename === after.basename) wrong(`${after.copy} is to be ${after.name}, and is ${other.name}`);
    const zone = zones.of(after.name);
    if (before || !zone || this.#delays.isTroubled(zone)) return;
    const old = zone
      .answer(after.name)
      .filter((value) => zone.sets.get(`${after.name}/A`)?.ours && !after.values.includes(value));
    if (old.length > 0) wrong(`${after.name} is given to ${after.copy} while it still answers with ${old.join(', ')}`);
  }

  // --- with each call ---

  /** What a zone is sent stands on record before. */
  onSend(_zone: NameZone, changes: readonly DnsChange[], by: SitterProcess): void {
    if (!by.leads) return;
    const { world, ledger } = this.#parts;
    for (const change of changes) {
      const { name, type } = change.kind === 'put' ? change.set : change;
      if (type !== 'A') continue;
      const record = ledger.dns.get(`${name}/A`);
      const values = change.kind === 'put' ? change.set.values : [];
      if (record?.attempted && sameValues(record.attempted, values)) continue;
      world.violate('every effect had its intent on record first', `${by.name} sends ${name}, and no record says so`);
    }
  }

  onChanged(zone: NameZone, theirs: readonly ZoneSet[]): void {
    const [first] = theirs;
    if (first)
      this.#parts.world.violate(
        'only names of ours are changed',
        `${first.name}/${first.type} in ${zone.name} was somebody else's`,
      );
  }

  onPut(definition: TaskDefinition, by: SitterProcess): void {
    const copy = this.#parts.ledger.copies.get(definition.id);
    const { version, generation } = (copy && this.#parts.truth.task(copy)?.definition) ?? definition;
    if (copy && (version !== definition.version || generation !== definition.generation)) this.#end(copy, by);
  }

  onRemove(machine: string, id: string, by: SitterProcess): void {
    const copy = this.#parts.ledger.copies.get(id);
    if (copy?.machine === machine) this.#end(copy, by);
  }

  /** A process is about to be ended by us: names have left it, and nobody remembers them, or all that can be waited was waited. */
  #end(copy: CopyRecord, by: SitterProcess): void {
    const { world, ledger, truth } = this.#parts;
    const job = ledger.jobs.get(copy.job);
    const basename = job ? basenameOf(job.spec) : null;
    if (!by.leads || !job || basename === null || truth.task(copy)?.runs !== true) return;
    const { dns_ttl, dns_removal_patience } = world.settings;
    const waited = world.clock.now() - copy.changedAt >= (dns_ttl + dns_removal_patience) * 1000;
    const pool = this.#names.poolOf(job, copy.zone) ?? '';
    const zone = this.#parts.zones.of(pool);
    const address = this.#names.machine(copy)?.address ?? null;
    if (waited || !zone || address === null || this.#delays.isTroubled(zone) || this.#delays.isDisturbed()) return;
    const led: string[] = [];
    if (copy.wanted === 'stop')
      for (const { name, copy: owner } of ledger.dns.values())
        if (owner === copy.id && zone.mayLead(name, address)) led.push(name);
    if (this.#leavesPool(copy, pool, address, zone)) led.push(pool);
    if (led.length > 0)
      world.violate(
        'a copy has left its names before it is ended',
        `${by.name} ends ${copy.id}, and ${led.join(', ')} may lead there`,
      );
  }

  /** A pool leads to it that could do without: others answer, at other addresses. */
  #leavesPool(copy: CopyRecord, pool: string, address: string, zone: NameZone): boolean {
    const others = this.#names.members(pool).filter(({ id }) => id !== copy.id);
    const isAtSame = (other: CopyRecord): boolean => this.#names.machine(other)?.address === address;
    if (others.some((other) => isAtSame(other) && this.#names.serves(other))) return false;
    const isOurs = zone.sets.get(`${pool}/A`)?.ours !== false;
    const isSingle = this.#parts.ledger.jobs.get(copy.job)?.spec.singleton ?? false;
    return isOurs && !isSingle && this.#ready(others).length > 0 && zone.mayLead(pool, address);
  }

  // --- all the time ---

  #look(): void {
    const { world, ledger, zones } = this.#parts;
    const now = world.clock.now();
    this.#delays.look(zones.all);
    const before = this.#wrongSince;
    this.#wrongSince = new Map();
    if (this.#delays.isDisturbed()) return;
    const wanted = this.#names.wanted();
    for (const zone of zones.all) {
      if (this.#delays.isTroubled(zone)) continue;
      for (const { name, type, values, ours } of zone.sets.values()) {
        const record = ledger.dns.get(`${name}/A`);
        if (type !== 'A' || !ours || (record && record.nextAttemptAt > now)) continue;
        for (const value of values) {
          const why = record ? this.#whyWrong(record, value, wanted.has(name)) : 'no record knows of it';
          if (why === null) continue;
          const key = `${name} ${value}`;
          const since = before.get(key) ?? now;
          this.#wrongSince.set(key, since);
          if (now - since <= this.#delays.passMs) continue;
          const sentence = `${name} has led to ${value} for ${(now - since) / 1000} s: ${why}`;
          world.violate('no name leads to what is gone or down for longer than a pass', sentence);
        }
      }
    }
  }

  #whyWrong(record: DnsRecord, value: string, wanted: boolean): string | null {
    const { ledger } = this.#parts;
    const machine = [...ledger.machines.values()].find(({ address }) => address === value);
    const gone = !machine || machine.state === 'lost' || machine.state === 'terminating';
    if (record.kind === 'copy') {
      const copy = record.copy === null ? undefined : ledger.copies.get(record.copy);
      if (gone) return 'its machine is gone';
      if (copy?.machine !== machine.id) return 'its copy is not there';
      return copy.wanted === 'stop' ? 'its copy is to be stopped' : null;
    }
    const members = this.#names.members(record.name);
    const ready = this.#ready(members);
    // The last answer stays, so that there is one.
    if (ready.length === 0)
      return wanted || members.some((copy) => this.#goesOn(copy)) ? null : 'nobody wants it any more';
    if (gone) return 'its machine is gone';
    const there = members.filter((copy) => copy.machine === machine.id);
    if (there.some((copy) => this.#names.serves(copy))) return null;
    const silence = this.#silence(machine.id);
    if (
      silence > HEARD_MS &&
      (silence < this.#parts.world.settings.unreachable_after * 1000 + HEARD_MS || this.#isBraked(members))
    )
      return null;
    return 'no copy of it serves there';
  }

  #goesOn(copy: CopyRecord): boolean {
    return copy.wanted === 'run' && !this.#parts.ledger.isLeft(copy);
  }

  /** Those that serve, of which the cluster sitter must know it. */
  #ready(copies: readonly CopyRecord[]): CopyRecord[] {
    const { world, truth } = this.#parts;
    const now = world.clock.now();
    return copies.filter((copy) => {
      const machine = this.#names.machine(copy);
      const serving = machine?.state === 'ready' || machine?.state === 'draining';
      if (!serving || machine.address === null || isLeaving(copy) || !this.#names.serves(copy)) return false;
      const task = truth.task(copy);
      if (task?.isWell(copy) !== true || task.status().flapping) return false;
      return now - task.changedAt > HEARD_MS && this.#silence(copy.machine) < HEARD_MS;
    });
  }

  /** As many of a pool may be silent that it looks like the line and not like machines. */
  #isBraked(members: readonly CopyRecord[]): boolean {
    const silent = members.filter((copy) => this.#silence(copy.machine) > HEARD_MS).length;
    return silent > 1 && silent / members.length > this.#parts.world.settings.replace_brake;
  }

  #silence(machine: string): number {
    const { world } = this.#parts;
    const leader = this.#delays.leader;
    return leader === null ? 0 : world.clock.now() - (leader.heardAt.get(machine) ?? leader.awakeSince);
  }
}
