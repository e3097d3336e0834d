import {
  type Document,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import { z } from 'zod';
import { messageOf } from '../../errors.ts';
import { type JobSpec, jobSpec } from '../../model/job.ts';
import { didYouMean } from '../words/nearest-names.ts';

/** One thing that is wrong with a job file; `sentence` says file, line, key, what was expected and what may have been meant. */
export interface JobFileProblem {
  line: number;
  key: string;
  sentence: string;
}

export interface JobFileEntry {
  spec: JobSpec;
  line: number;
}

export interface JobFileReading {
  entries: JobFileEntry[];
  problems: JobFileProblem[];
}

/**
 * Reads a job file: YAML 1.2, so that JSON with comments, tabs and trailing commas is fine too. It holds one job, a list of jobs,
 * or several documents of either. With one problem in it, nothing of it may be used.
 */
export function readJobFile(text: string, source: string): JobFileReading {
  const lines = new LineCounter();
  // The original's example ends with a comma after the last brace, as a piece of a longer list would.
  const documents = parseAllDocuments(text.replace(/,\s*$/, '\n'), { lineCounter: lines });
  const reading = new Reading(source, lines);
  if (!Array.isArray(documents) || documents.length === 0) {
    reading.problem(0, '', 'is empty; a job file holds at least one job');
    return reading;
  }
  for (const document of documents) reading.document(document);
  reading.refuseDuplicates();
  reading.problems.sort((a, b) => a.line - b.line);
  return reading;
}

class Reading implements JobFileReading {
  readonly entries: JobFileEntry[] = [];
  readonly problems: JobFileProblem[] = [];
  readonly #source: string;
  readonly #lines: LineCounter;

  constructor(source: string, lines: LineCounter) {
    this.#source = source;
    this.#lines = lines;
  }

  problem(offset: number, key: string, what: string): void {
    const { line } = this.#lines.linePos(offset);
    const at = line > 0 ? line : 1;
    this.problems.push({ line: at, key, sentence: `${this.#source}:${at}: ${key === '' ? '' : `${key}: `}${what}` });
  }

  document(document: Document.Parsed): void {
    if (document.errors.length > 0) {
      for (const error of document.errors.slice(0, 5))
        this.problem(error.pos[0], '', `is not YAML: ${error.message.split(' at line')[0]}`);
      return;
    }
    const root = document.contents;
    if (root === null || (isScalar(root) && root.value === null)) return;
    if (isSeq(root)) for (const item of root.items) this.#job(document, item as Node);
    else this.#job(document, root as Node);
  }

  refuseDuplicates(): void {
    const seen = new Map<string, number>();
    for (const { spec, line } of this.entries) {
      const { name } = spec.task_configuration;
      const before = seen.get(name);
      if (before === undefined) seen.set(name, line);
      else {
        const sentence = `${this.#source}:${line}: task_configuration.name: "${name}" stands in this file twice, at line ${before} already`;
        this.problems.push({ line, key: 'task_configuration.name', sentence });
      }
    }
    if (this.entries.length === 0 && this.problems.length === 0)
      this.problem(0, '', 'is empty; a job file holds at least one job');
  }

  #job(document: Document.Parsed, node: Node): void {
    const offset = node.range?.[0] ?? 0;
    if (!isMap(node)) {
      this.problem(offset, '', 'expected a job, that is a map with task_configuration and deployment_layout');
      return;
    }
    let value: unknown;
    try {
      value = node.toJS(document, { maxAliasCount: 100 });
    } catch (error) {
      // Aliases without an anchor, or so many that they are an attack: the library finds these only now.
      this.problem(offset, '', `is not YAML: ${messageOf(error)}`);
      return;
    }
    const result = jobSpec.safeParse(value);
    if (!result.success) {
      for (const issue of result.error.issues) this.#issue(node, value, issue);
      return;
    }
    const spec = result.data;
    if (Object.keys(spec.deployment_layout).length === 0 && spec.linked_job === undefined) {
      this.problem(
        offset,
        'deployment_layout',
        'is missing: where is the job to run? For example {"local-a": {"count": 1}}',
      );
      return;
    }
    this.entries.push({ spec, line: this.#lines.linePos(offset).line });
  }

  #issue(root: Node, document: unknown, issue: z.core.$ZodIssue): void {
    const path = asWritten(document, issue.path);
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const known = knownKeys(path);
        const where = [...path, key].join('.');
        this.problem(
          offsetOf(root, [...path, key]),
          where,
          `unknown key${didYouMean(key, known)} Known here: ${known.join(', ')}`.replace('key Known', 'key. Known'),
        );
      }
      return;
    }
    const given = valueAt(document, path);
    const got = given === undefined ? 'nothing is there' : `got ${short(given)}`;
    this.problem(offsetOf(root, path), path.join('.'), `${expectation(issue)}, ${got}`);
  }
}

export function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `expected ${issue.expected}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  return issue.message;
}

export function short(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Where in the text a key stands; of a key that is missing, where its nearest parent does. */
export function offsetOf(root: Node, path: readonly (string | number)[]): number {
  let node: unknown = root;
  let offset = root.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && String(isScalar(item.key) ? item.key.value : item.key) === String(step),
      );
      if (!pair) return offset;
      if (isScalar(pair.key) && pair.key.range) offset = pair.key.range[0];
      node = pair.value;
    } else if (isCollection(node)) {
      node = node.get(step, true);
    } else return offset;
  }
  return offset;
}

export function valueAt(document: unknown, path: readonly (string | number)[]): unknown {
  let value = document;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

/** The path as it is in the file: where one thing may stand for a list of one, its place in that list is not. */
export function asWritten(document: unknown, path: readonly PropertyKey[]): (string | number)[] {
  const written: (string | number)[] = [];
  for (const step of path) {
    const at = valueAt(document, written);
    const single = typeof step === 'number' && typeof at === 'object' && at !== null && !Array.isArray(at);
    if (!single) written.push(typeof step === 'symbol' ? String(step) : step);
  }
  return written;
}

/** The keys that may stand at a path, by the schema itself. */
function knownKeys(path: readonly (string | number)[]): string[] {
  let schema: JsonSchema | undefined = z.toJSONSchema(jobSpec, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  for (const step of path) {
    const here: JsonSchema | undefined = schema?.items ?? schema;
    schema = typeof step === 'number' ? here : (here?.properties?.[step] ?? here?.additionalProperties);
  }
  return Object.keys((schema?.items ?? schema)?.properties ?? {});
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema;
  items?: JsonSchema;
}
