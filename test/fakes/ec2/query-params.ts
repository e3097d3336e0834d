import { z } from 'zod';
import { Ec2Fault } from './ec2-fault.ts';

export type QueryTree = string | QueryTree[] | { [name: string]: QueryTree };

/**
 * `Filter.1.Name=x&Filter.1.Value.1=y` as a tree: names that are numbers make lists, which count from 1 without a gap.
 * Throws what EC2 answers to a form that is none.
 */
export function parseQuery(body: string): Map<string, QueryTree> {
  const root: { [name: string]: QueryTree } = {};
  const seen = new Set<string>();
  for (const pair of body.split('&')) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new Ec2Fault('MalformedQueryString', 'The query string contains a syntax error');
    const name = decode(pair.slice(0, equals));
    if (seen.has(name)) throw new Ec2Fault('MalformedQueryString', `${name} is given twice`);
    seen.add(name);
    insert(root, name.split('.'), decode(pair.slice(equals + 1)), name);
  }
  return new Map(Object.entries(root).map(([name, value]) => [name, listed(value, name)]));
}

/** The parameters of one action, checked: an unknown one, a missing one or a wrong value is answered as EC2 does. */
export function readParams<T extends z.ZodType>(schema: T, params: ReadonlyMap<string, QueryTree>): z.infer<T> {
  const result = schema.safeParse(Object.fromEntries(params));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).join('.');
  if (issue?.code === 'unrecognized_keys')
    throw new Ec2Fault(
      'UnknownParameter',
      `The parameter ${[path, issue.keys[0]].filter(Boolean).join('.')} is not recognized`,
    );
  if (issue?.code === 'invalid_type' && issue.input === undefined && !hasAt(params, issue.path))
    throw new Ec2Fault('MissingParameter', `The request must contain the parameter ${path}`);
  throw new Ec2Fault('InvalidParameterValue', `Value for ${path} is invalid: ${issue?.message ?? '?'}`);
}

function hasAt(params: ReadonlyMap<string, QueryTree>, path: readonly PropertyKey[]): boolean {
  let at: unknown = Object.fromEntries(params);
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined;
  return at !== undefined;
}

function insert(node: { [name: string]: QueryTree }, path: string[], value: string, name: string): void {
  const [first = '', ...rest] = path;
  if (first === '') throw new Ec2Fault('MalformedQueryString', `${name} cannot be read`);
  if (rest.length === 0) {
    if (node[first] !== undefined) throw new Ec2Fault('MalformedQueryString', `${name} is a value and a group`);
    node[first] = value;
    return;
  }
  node[first] ??= {};
  const child = node[first];
  if (typeof child === 'string' || Array.isArray(child))
    throw new Ec2Fault('MalformedQueryString', `${name} is a value and a group`);
  insert(child, rest, value, name);
}

function listed(value: QueryTree, name: string): QueryTree {
  if (typeof value === 'string' || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  if (!keys.some((key) => /^\d+$/.test(key)))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, listed(inner, `${name}.${key}`)]));
  return Array.from(keys, (_, i) => {
    const item = value[String(i + 1)];
    if (item === undefined) throw new Ec2Fault('InvalidParameterValue', `the list ${name} has gaps`);
    return listed(item, `${name}.${i + 1}`);
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new Ec2Fault('MalformedQueryString', 'The query string contains a syntax error');
  }
}

export const yes = z.enum(['true', 'false']).transform((text) => text === 'true');
export const count = z.string().regex(/^\d+$/).transform(Number);
export const filters = z
  .array(z.strictObject({ Name: z.string(), Value: z.array(z.string()).min(1).max(200) }))
  .default([]);
