import { CerebroError } from '../../core/errors.ts';

const PLAIN = /^[A-Za-z0-9_/.:,@%+-][A-Za-z0-9_/.:,@%+=-]*$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One word of a POSIX shell that means exactly this text. Throws `invalid` for a zero byte, which no argument can hold. */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new CerebroError('invalid', 'an argument or path holds a zero byte; none can');
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function shellWords(argv: readonly string[]): string {
  return argv.map(shellQuote).join(' ');
}

/** `export` lines. Unlike arguments of `env`, they are on no process list. */
export function shellExports(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${checkVariable(name)}=${shellQuote(value)}\n`)
    .join('');
}

/** Throws `invalid` for what is no name of a variable. */
export function checkVariable(name: string): string {
  if (VARIABLE.test(name)) return name;
  throw new CerebroError('invalid', `env: "${name}" is no name of a variable`);
}
