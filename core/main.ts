import { CommanderError } from 'commander';
import { commandLine } from './cli/command-line.ts';
import type { CliContext } from './cli/context.ts';
import { RefusedError } from './cli/refused-error.ts';
import { CerebroError, systemCode } from './errors.ts';

/** 0 done, 1 refused or failed, 2 wrong usage, 3 no answer. */
const EXIT = { done: 0, failed: 1, usage: 2, noAnswer: 3 };

/** Signals that mean something to a task alone; without a listener they do what they always do. */
const HANDED_ON = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

const interrupt = new AbortController();
let exitCode = EXIT.done;

/** npm passes on a Ctrl-C that the terminal has sent us already: within this time two signals are one. */
const ONE_SIGNAL_MS = 1000;
let interruptedAt = 0;

/** A command that takes every signal itself. */
let handOn: ((signal: NodeJS.Signals) => void) | null = null;

// The first signal asks for an end in order; who asks again means it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (handOn) {
      handOn(signal);
      return;
    }
    if (interrupt.signal.aborted && performance.now() - interruptedAt > ONE_SIGNAL_MS) process.exit(EXIT.failed);
    if (interrupt.signal.aborted) return;
    interruptedAt = performance.now();
    interrupt.abort();
  });
}
// A reader that closed our standard output (`| head`) has had enough.
process.stdout.on('error', (error) => process.exit(systemCode(error) === 'EPIPE' ? EXIT.done : EXIT.failed));

const context: CliContext = {
  out: (text) => process.stdout.write(`${text}\n`),
  write: (bytes) => new Promise((resolve) => process.stdout.write(bytes, () => resolve())),
  err: (text) => process.stderr.write(`${text}\n`),
  interrupted: interrupt.signal,
  onSignal: (listener) => {
    handOn = listener;
    const pass = (signal: NodeJS.Signals): void => listener(signal);
    for (const signal of HANDED_ON) process.on(signal, pass);
    return () => {
      handOn = null;
      for (const signal of HANDED_ON) process.off(signal, pass);
    };
  },
  onHangup: (listener) => {
    process.on('SIGHUP', listener);
    return () => process.off('SIGHUP', listener);
  },
  exitWith: (code) => {
    exitCode = code;
  },
};

try {
  const words = asked(process.argv.slice(2));
  await (await commandLine(words, context)).parseAsync(words, { from: 'user' });
} catch (error) {
  exitCode = report(error);
}
// What was written to a pipe may be on its way still.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
// Whatever a library left open must not keep a finished command from ending.
process.exit(exitCode);

/** `cerebro --version` is `cerebro version`. */
function asked(words: readonly string[]): string[] {
  const [first, ...rest] = words;
  return first === '--version' || first === '-V' ? ['version', ...rest] : [...words];
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof CerebroError) {
    context.err(`cerebro: ${error.message}`);
    if (error instanceof RefusedError) return EXIT.failed;
    if (error.code === 'usage') return EXIT.usage;
    return error.code === 'unavailable' ? EXIT.noAnswer : EXIT.failed;
  }
  context.err(`cerebro: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.failed;
}
