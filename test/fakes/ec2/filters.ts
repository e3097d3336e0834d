import { z } from 'zod';
import { Ec2Fault } from './ec2-fault.ts';
import type { Ec2World } from './ec2-world.ts';
import { count, filters, type QueryTree, yes } from './query-params.ts';
import type { XmlValue } from './xml.ts';

export type Action = (
  world: Ec2World,
  region: string,
  tree: ReadonlyMap<string, QueryTree>,
) => { [name: string]: XmlValue };

/** Machines on one page, so that whoever reads the first page alone is found out. */
const PAGE = 5;

export const paged = {
  DryRun: yes.optional(),
  Filter: filters,
  MaxResults: count.pipe(z.number().min(5).max(1000)).optional(),
  NextToken: z.string().optional(),
};

/** `ask` gives what a thing has of a filter's name: one value, or several of which one is to match. */
export function matches(
  asked: z.infer<typeof filters>,
  ask: (name: string) => string | readonly string[] | undefined,
): boolean {
  return asked.every(({ Name, Value }) => {
    const values = [ask(Name) ?? []].flat();
    return values.some((value) => Value.some((pattern) => wildcard(pattern).test(value)));
  });
}

export function only(known: string, value: string): (name: string) => string {
  return (name) => {
    if (name !== known) throw badFilter(name);
    return value;
  };
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, 's');
}

export function page<T>(all: readonly T[], token: string | undefined): { items: T[]; next: string | undefined } {
  const from = token === undefined ? 0 : Number(token);
  if (!Number.isInteger(from)) throw new Ec2Fault('InvalidNextToken', 'The token is invalid');
  const to = from + PAGE;
  return { items: all.slice(from, to), next: to < all.length ? String(to) : undefined };
}

export function badFilter(name: string): Ec2Fault {
  return new Ec2Fault('InvalidParameterValue', `The filter '${name}' is invalid`);
}

export function dry(isDry: boolean | undefined): void {
  if (isDry) throw new Ec2Fault('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
}
