import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, stringify } from 'yaml';
import { messageOf } from '../../errors.ts';
import { knownKeys } from '../../model/known-keys.ts';
import { type TaskConfiguration, taskConfiguration } from '../../model/task-configuration.ts';
import { didYouMean } from '../words/nearest-names.ts';
import { asWritten, expectation, offsetOf, short, valueAt } from './read-job-file.ts';

export interface TaskFileReading {
  tasks: TaskConfiguration[];
  /** Each says file, line, key, what was expected and what may have been meant. */
  problems: string[];
}

/**
 * Reads a file of task definitions: YAML 1.2 with one `task_configuration`, a list of them, or several documents of either. With
 * one problem in it, nothing of it may be used. An empty list is one of no tasks; an empty file is a mistake.
 */
export function readTaskFile(text: string, source: string): TaskFileReading {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text.replace(/,\s*$/, '\n'), { lineCounter: lines });
  const reading = new Reading(source, lines);
  for (const document of Array.isArray(documents) ? documents : []) reading.document(document);
  reading.close();
  return reading;
}

class Reading implements TaskFileReading {
  readonly tasks: TaskConfiguration[] = [];
  readonly problems: string[] = [];
  readonly #source: string;
  readonly #lines: LineCounter;
  readonly #seen = new Map<string, number>();
  #isList = false;

  constructor(source: string, lines: LineCounter) {
    this.#source = source;
    this.#lines = lines;
  }

  document(document: Document.Parsed): void {
    for (const error of document.errors.slice(0, 5))
      this.#problem(error.pos[0], '', `is not YAML: ${error.message.split(' at line')[0]}`);
    const root = document.contents;
    if (document.errors.length > 0 || root === null || (isScalar(root) && root.value === null)) return;
    if (!isSeq(root)) {
      this.#task(document, root as Node);
      return;
    }
    this.#isList = true;
    for (const item of root.items) this.#task(document, item as Node);
  }

  close(): void {
    if (this.tasks.length === 0 && this.problems.length === 0 && !this.#isList)
      this.#problem(0, '', 'is empty; a file of no tasks at all says []');
  }

  #task(document: Document.Parsed, node: Node): void {
    const offset = node.range?.[0] ?? 0;
    if (!isMap(node)) {
      this.#problem(offset, '', 'expected a task, that is a map with name and command');
      return;
    }
    let value: unknown;
    try {
      value = node.toJS(document, { maxAliasCount: 100 });
    } catch (error) {
      this.#problem(offset, '', `is not YAML: ${messageOf(error)}`);
      return;
    }
    const result = taskConfiguration.safeParse(value);
    if (!result.success) {
      for (const issue of result.error.issues) {
        const path = asWritten(value, issue.path);
        if (issue.code === 'unrecognized_keys') {
          const known = knownKeys(taskConfiguration, path);
          for (const key of issue.keys)
            this.#problem(
              offsetOf(node, [...path, key]),
              [...path, key].join('.'),
              `unknown key${didYouMean(key, known)}`,
            );
        } else {
          const given = valueAt(value, path);
          const got = given === undefined ? 'nothing is there' : `got ${short(given)}`;
          this.#problem(offsetOf(node, path), path.join('.'), `${expectation(issue)}, ${got}`);
        }
      }
      return;
    }
    const { name } = result.data;
    const before = this.#seen.get(name);
    if (before !== undefined)
      this.#problem(offset, 'name', `"${name}" stands in this file twice, at line ${before} already`);
    this.#seen.set(name, this.#lines.linePos(offset).line);
    this.tasks.push(result.data);
  }

  #problem(offset: number, key: string, what: string): void {
    const { line } = this.#lines.linePos(offset);
    this.problems.push(`${this.#source}:${Math.max(line, 1)}: ${key === '' ? '' : `${key}: `}${what}`);
  }
}

/** A file of task definitions, with what differs from the defaults. */
export function writeTaskFile(tasks: readonly TaskConfiguration[]): string {
  if (tasks.length === 0) return '[]\n';
  return tasks.map((task) => stringify([withoutDefaults(task)])).join('\n');
}

function withoutDefaults(task: TaskConfiguration): Record<string, unknown> {
  const defaults = taskConfiguration.parse({ name: task.name, command: task.command });
  const { name, command, ...others } = task;
  return { name, command, ...differing(others, defaults) };
}

function differing(value: object, defaults: object): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, own] of Object.entries(value)) {
    const usual: unknown = Reflect.get(defaults, key);
    if (own === undefined || JSON.stringify(own) === JSON.stringify(usual)) continue;
    found[key] = isPlain(own) && isPlain(usual) ? differing(own, usual) : own;
  }
  return found;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
