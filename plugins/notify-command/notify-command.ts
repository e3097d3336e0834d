import { type ExecFileException, execFile } from 'node:child_process';
import type { Notice, Notifier } from '../../core/contracts/notifier.ts';
import { CerebroError, systemCode } from '../../core/errors.ts';
import type { Config } from './schema.ts';

const MAX_OUTPUT_BYTES = 1024 * 1024;

/** Hands alerts to a program, as JSON on its standard input. One that fails or takes too long is run again later. */
export class NotifyCommand implements Notifier {
  readonly name = 'command';
  readonly #config: Config;
  readonly #running = new Set<AbortController>();

  constructor(config: Config) {
    this.#config = config;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    for (const run of this.#running) run.abort();
    await Promise.resolve();
  }

  async notify(notices: readonly Notice[]): Promise<void> {
    const [program = '', ...args] = this.#config.command;
    const abort = new AbortController();
    this.#running.add(abort);
    try {
      await new Promise<void>((resolve, reject) => {
        const child = execFile(
          program,
          args,
          {
            timeout: this.#config.timeout * 1000,
            killSignal: 'SIGKILL',
            maxBuffer: MAX_OUTPUT_BYTES,
            signal: abort.signal,
          },
          (error, _stdout, stderr) => {
            if (!error) return resolve();
            reject(new CerebroError('unavailable', `${program} ${this.#whyNot(error, stderr)}`));
          },
        );
        // A program that does not read is none of our business.
        child.stdin?.on('error', () => undefined);
        child.stdin?.end(`${JSON.stringify({ notices })}\n`);
      });
    } finally {
      this.#running.delete(abort);
    }
  }

  #whyNot(error: ExecFileException, stderr: string): string {
    if (error.killed) return `was not done in ${this.#config.timeout} s`;
    // A text is a code of the system or of Node; what the program itself ends with is a number.
    const code = systemCode(error);
    if (code === 'ABORT_ERR') return 'was given up: the daemon stops';
    if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `was ended: it writes more than ${MAX_OUTPUT_BYTES} bytes`;
    if (code !== undefined) return `could not be run (${code}); look at "command" of notify-command`;
    return stderr.trim().split('\n').at(-1) || `ended with ${error.code ?? error.signal}`;
  }
}
