import type { Remote, RunOptions, RunResult } from '../../core/contracts/remote.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { SLOWEST_BYTES_PER_S, UNPACK } from '../unpack.ts';
import type { Packed } from './sitter-package.ts';
import { megabytes, readFacts, type TargetFacts } from './target-facts.ts';
import { LAST_WORDS, PROBE } from './target-scripts.ts';

const SCRIPT_S = 60;
const UNPACK_S = 600;

export interface SitterTarget {
  remote: Remote;
  machineId: string;
  /** Where the cluster sitter reaches the machine: a host name or an IP address. */
  address: string;
  /** The sitter's, default 40000. */
  port?: number;
  /** Where everything is put; default /opt/cerebro for root, `cerebro` in the remote's folder for others. */
  folder?: string;
  /** false: the sitter runs as the remote's own user, and can give tasks no other. Default true; takes sudo where that user is not root. */
  asRoot?: boolean;
  /** The address that it listens on; others than the machine itself are served over mutual TLS alone. Default 0.0.0.0. */
  host?: string;
  /** More keys of its cerebro.yaml. */
  settings?: Readonly<Record<string, unknown>>;
  /** auto: systemd where it runs and we are root, else a daemon that a small shell keeps alive. */
  service?: 'auto' | 'plain';
  signal?: AbortSignal;
  /** Each step, in a sentence, for the log. */
  onStep?: (sentence: string) => void;
  /** What is done now, and how much of that (0 to 100; null: nobody can tell), as often as it changes. */
  onProgress?: (step: string, percent: number | null) => void;
}

/** Where a sitter is put when nobody says it. */
export function defaultFolder(asRoot: boolean): string {
  return asRoot ? '/opt/cerebro' : 'cerebro';
}

/** What is done on one target, as the right user. */
export class TargetHands {
  readonly target: SitterTarget;
  readonly port: number;
  readonly #asRoot: boolean;

  constructor(target: SitterTarget) {
    this.target = target;
    this.port = target.port ?? 40_000;
    this.#asRoot = target.asRoot ?? true;
  }

  tell(sentence: string): void {
    this.target.onStep?.(sentence);
    this.progress(sentence);
  }

  /** What is worth showing while it lasts, and no more. */
  progress(step: string, percent: number | null = null): void {
    this.target.onProgress?.(step, percent);
  }

  checkSignal(): void {
    if (this.target.signal?.aborted) throw new CerebroError('unavailable', 'it was broken off');
  }

  usesSystemd(facts: TargetFacts): boolean {
    return facts.systemd && this.#asRoot && this.target.service !== 'plain';
  }

  async facts(): Promise<TargetFacts> {
    const folder = this.target.folder ?? defaultFolder(this.#asRoot);
    return readFacts((await this.shell(PROBE, [folder, String(this.port)])).stdout);
  }

  run(argv: readonly string[], input: string, timeout: number, allowFailure = false): Promise<RunResult> {
    this.checkSignal();
    return this.#as(argv, { input, timeout, allowFailure });
  }

  shell(script: string, args: readonly string[], timeout = SCRIPT_S): Promise<RunResult> {
    return this.run(['/bin/sh', '-s', '--', ...args], script, timeout);
  }

  async lastWords(folder: string): Promise<string> {
    return (await this.shell(LAST_WORDS, [folder])).stdout.trim().slice(-500) || 'none';
  }

  write(text: string, path: string, mode: number): Promise<void> {
    this.checkSignal();
    return this.target.remote.write(text, path, { mode, sudo: this.#asRoot });
  }

  /** Sends it and unpacks it there, in one. */
  async bring(folder: string, kind: string, packed: Packed): Promise<void> {
    this.checkSignal();
    const step = `${packed.name} is brought there, ${megabytes(packed.bytes)}`;
    this.tell(step);
    const args = [`${folder}/${kind}/${packed.name}`, `${packed.packer} -dc`, packed.sha256, '-o'];
    try {
      await this.#as(['/bin/sh', '-c', UNPACK, 'sh', ...args], {
        inputFile: packed.path,
        onInput: (sent, total) => this.progress(step, total === 0 ? 100 : Math.floor((sent / total) * 100)),
        timeout: UNPACK_S + packed.bytes / SLOWEST_BYTES_PER_S,
      });
    } catch (error) {
      if (!/No space left/i.test(messageOf(error))) throw error;
      throw new CerebroError('no_space', `there is no space left under ${folder} while ${packed.name} is unpacked`, {
        cause: error,
      });
    }
  }

  #as(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    return this.#asRoot ? this.target.remote.sudo(argv, options) : this.target.remote.run(argv, options);
  }
}
