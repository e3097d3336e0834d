import { isIPv4 } from 'node:net';

/** A record set as the API has it: names with the final dot, values as text. */
export interface HostedRecordSet {
  name: string;
  type: string;
  ttl: number | null;
  values: string[];
  /** Of one among several sets of that name and type. */
  identifier: string | null;
  /** Where an alias points; it has no values. */
  alias: string | null;
}

export interface HostedChange {
  action: string;
  set: HostedRecordSet;
}

const MAX_VALUES = 400;
const MAX_CHANGED_RECORDS = 1000;
const MAX_CHANGED_CHARACTERS = 32_000;

/** One hosted zone of the stand-in. */
export class HostedZone {
  readonly id: string;
  /** With the final dot. */
  readonly name: string;
  readonly isPrivate: boolean;
  #sets: HostedRecordSet[] = [];

  constructor(id: string, name: string, isPrivate = false) {
    this.id = id;
    this.name = `${name}.`;
    this.isPrivate = isPrivate;
    const own = (type: string, values: string[]): HostedRecordSet => plain(this.name, type, 900, values);
    this.#sets.push(
      own('NS', ['ns-1.invalid.', 'ns-2.invalid.']),
      own('SOA', ['ns-1.invalid. admin.invalid. 1 7200 900 1209600 86400']),
    );
  }

  /** In the order of the API: by the name's labels from behind with the final dot, then by type. */
  get sets(): HostedRecordSet[] {
    return [...this.#sets].sort((a, b) => compare(orderKey(a), orderKey(b)));
  }

  /** All of the changes, one after the other, or none of them. The answer: what is wrong. */
  change(changes: readonly HostedChange[]): string[] {
    const records = changes
      .flatMap(({ action, set }) => (action === 'UPSERT' ? [set, set] : [set]))
      .flatMap(({ values }) => values);
    if (records.length > MAX_CHANGED_RECORDS) return [`Number of records limit of ${MAX_CHANGED_RECORDS} exceeded.`];
    if (records.join('').length > MAX_CHANGED_CHARACTERS)
      return [`Number of characters limit of ${MAX_CHANGED_CHARACTERS} exceeded.`];
    const draft = [...this.#sets];
    const problems = changes.flatMap((change) => this.#draft(draft, change));
    if (problems.length === 0) this.#sets = draft;
    return problems;
  }

  /** As somebody else did it. */
  foreign(set: HostedRecordSet): void {
    this.#sets = this.#sets.filter((other) => !sameKey(other, set));
    if (set.values.length > 0 || set.alias !== null) this.#sets.push(set);
  }

  #draft(draft: HostedRecordSet[], { action, set }: HostedChange): string[] {
    const named = `[name='${set.name}', type='${set.type}']`;
    if (set.name !== this.name && !set.name.endsWith(`.${this.name}`))
      return [`RRSet with DNS name ${set.name} is not permitted in zone ${this.name}`];
    const at = draft.findIndex((other) => sameKey(other, set));
    const there = draft[at];
    if (action === 'DELETE') {
      if (!there) return [`Tried to delete resource record set ${named} but it was not found`];
      if (!sameSet(there, set))
        return [`Tried to delete resource record set ${named} but the values provided do not match the current values`];
      draft.splice(at, 1);
      return [];
    }
    const wrong = set.values.find((value) => !isLegal(set.type, value));
    if (wrong !== undefined) return [`Invalid Resource Record: FATAL problem: InvalidRDATA encountered at '${wrong}'`];
    if (new Set(set.values).size !== set.values.length) return [`Duplicate Resource Record`];
    if (set.values.length === 0 || set.values.length > MAX_VALUES || set.ttl === null)
      return [`RRSet ${named} is not legal`];
    const besides = draft.filter((other) => other.name === set.name && other !== there);
    if (besides.some((other) => (other.type === 'CNAME') !== (set.type === 'CNAME')))
      return [
        `RRSet of type ${set.type} with DNS name ${set.name} is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone ${this.name}`,
      ];
    if (besides.some((other) => other.type === set.type))
      return [
        `RRSet with DNS name ${set.name}, type ${set.type} cannot be created as other RRSets exist with the same name and type`,
      ];
    if (action === 'CREATE' && there) return [`Tried to create resource record set ${named} but it already exists`];
    if (there) draft.splice(at, 1);
    draft.push(set);
    return [];
  }
}

export function plain(name: string, type: string, ttl: number, values: string[]): HostedRecordSet {
  return { name, type, ttl, values, identifier: null, alias: null };
}

/** The key by which the API sorts. */
export function orderKey(set: { name: string; type: string }): string {
  return `${set.name.replace(/\.$/, '').split('.').reverse().join('.')}. ${set.type}`;
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sameKey(a: HostedRecordSet, b: HostedRecordSet): boolean {
  return a.name === b.name && a.type === b.type && a.identifier === b.identifier;
}

function sameSet(a: HostedRecordSet, b: HostedRecordSet): boolean {
  return (
    a.ttl === b.ttl &&
    a.alias === b.alias &&
    JSON.stringify([...a.values].sort()) === JSON.stringify([...b.values].sort())
  );
}

/** Texts are quoted pieces of at most 255 bytes, in ASCII, with octal for what is not. */
function isLegal(type: string, value: string): boolean {
  if (type === 'A') return isIPv4(value);
  if (type !== 'TXT') return true;
  if (
    !/^"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]|\\[0-7]{3})*"(?: "(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]|\\[0-7]{3})*")*$/.test(
      value,
    )
  )
    return false;
  return value.split('" "').every((piece) => piece.replace(/^"|"$/g, '').replace(/\\[0-7]{3}|\\./g, 'x').length <= 255);
}
