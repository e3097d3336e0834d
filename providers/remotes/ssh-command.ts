import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import type { RunOptions } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { CommandOutput } from './command-output.ts';
import { feed } from './file-input.ts';
import { type SshConnection, type StartedLine, where } from './ssh-connection.ts';

export interface SshCommand {
  /** A script for /bin/sh, which may end with `exec`. It goes over standard input: no process list shows it, and no login shell reads it. */
  script: string;
  /** What follows on standard input; at its end the input is closed. */
  input?: string | Buffer | Readable;
  asRoot: boolean;
  onLine?: RunOptions['onLine'];
  /** Standard output as it is, instead of as text. Its return value says when the next may come. */
  onBytes?: (chunk: Buffer) => void;
  /** What errors call it. */
  name: string;
}

export interface SshResult {
  /** false: what the login runs before it, sudo for one, did not let it. */
  began: boolean;
  /** null: it was ended by a signal. */
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** One command on its way. The caller has the deadline. */
export class RunningCommand {
  /** Rejects with `unavailable` when the connection ends before the command does. */
  readonly done: Promise<SshResult>;
  /** Its process there, once it has begun. */
  pid: number | null = null;
  readonly #channel: ClientChannel;

  private constructor(started: StartedLine, command: SshCommand, mark: string, connection: SshConnection) {
    this.#channel = started.channel;
    this.done = this.#follow(started, command, mark, connection);
  }

  static async start(connection: SshConnection, command: SshCommand): Promise<RunningCommand> {
    const mark = randomBytes(8).toString('hex');
    const script = Buffer.from(`echo ${mark} $$\n${command.script}\n`);
    // Byte by byte, so that nothing of what follows is swallowed. These words mean the same to every login shell.
    const read = `/bin/sh -c 'eval "$(dd bs=1 count=${script.length} 2>/dev/null)"'`;
    const sudo = command.asRoot && connection.target.user !== 'root';
    const started = await connection.exec(`exec ${sudo ? 'sudo -n -- ' : ''}${read}`);
    const { channel } = started;
    const running = new RunningCommand(started, command, mark, connection);
    channel.write(script);
    const { input = '' } = command;
    if (typeof input === 'string' || Buffer.isBuffer(input)) channel.end(input);
    else feed(channel, input);
    return running;
  }

  /** Lets go of it; it may run on over there. */
  drop(): void {
    this.#channel.destroy();
  }

  #follow(started: StartedLine, command: SshCommand, mark: string, connection: SshConnection): Promise<SshResult> {
    const { channel } = started;
    const stdout = new CommandOutput('stdout', command);
    const stderr = new CommandOutput('stderr', command);
    let before = Buffer.alloc(0);
    channel.on('data', (chunk: Buffer) => {
      if (this.pid !== null) return command.onBytes ? command.onBytes(chunk) : stdout.take(chunk);
      // What the login shell's own files print comes before our mark, and is nobody's output.
      before = Buffer.concat([before, chunk]).subarray(-256 * 1024);
      const begin = before.indexOf(`${mark} `);
      const end = begin < 0 ? -1 : before.indexOf('\n', begin);
      if (end < 0) return;
      this.pid = Number(before.subarray(begin + mark.length + 1, end).toString('latin1'));
      const rest = before.subarray(end + 1);
      if (rest.length > 0) command.onBytes ? command.onBytes(rest) : stdout.take(rest);
    });
    channel.stderr.on('data', (chunk: Buffer) => stderr.take(chunk));
    channel.on('error', () => undefined); // a command need not read what it is given; how it ended is what counts
    return new Promise((resolve, reject) => {
      channel.once('close', () => {
        stdout.end();
        stderr.end();
        const { ended } = started;
        if (ended) {
          const began = this.pid !== null;
          return resolve({ ...ended, began, stdout: began ? stdout.text : before.toString(), stderr: stderr.text });
        }
        const text = `the connection to ${where(connection.target)} broke while ${command.name} ran; how it ended is not known`;
        reject(new CerebroError('unavailable', text));
      });
    });
  }
}
