import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CerebroError, systemCode } from '../errors.ts';
import { type MachineLogin, machineLogin, type SshHostLogin } from '../model/machine-login.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

const TARGET = 'cerebro-machine';
const JUMP = 'cerebro-jump';

export function login(program: Command, context: CliContext): void {
  clusterCommand(program.command('login'))
    .description('a shell on a machine, with the user, key and host key that the cluster sitter uses')
    .argument('<what>', 'a machine, a copy, or a job that runs on one machine')
    .option('--command <line>', 'run this line there instead, and end with its exit code')
    .action(async (what: string, flags: ClusterFlags & { command?: string }) => {
      const found = await clientFor(flags).get(`/api/v1/login/${encodeURIComponent(what)}`, machineLogin);
      if (flags.json) return printJson(context, found);
      const folder = mkdtempSync(join(tmpdir(), 'cerebro-login-'));
      try {
        context.exitWith(await enter(found, folder, flags.command, context));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
}

function enter(found: MachineLogin, folder: string, line: string | undefined, context: CliContext): Promise<number> {
  if (found.kind === 'folder') {
    if (!existsSync(found.folder))
      throw new CerebroError(
        'unsupported',
        `${found.machine} is a folder of the cluster sitter's host; log in from there`,
      );
    const shell = process.env.SHELL ?? '/bin/sh';
    return run(shell, line === undefined ? [] : ['-c', line], found.folder, context);
  }
  const config = join(folder, 'config');
  writeFileSync(
    config,
    sshConfig(found, folder, (text) => context.err(`cerebro: ${text}`)),
    { mode: 0o600 },
  );
  // A line is a line for the shell over there, as ssh has it.
  return run('ssh', ['-F', config, TARGET, ...(line === undefined ? [] : ['--', line])], undefined, context);
}

/** A configuration of ssh for this one login; keys of hosts other than these are not believed. */
export function sshConfig(
  found: Extract<MachineLogin, { kind: 'ssh' }>,
  folder: string,
  tell: (text: string) => void,
): string {
  const hosts: [string, SshHostLogin][] = [[TARGET, found.host]];
  if (found.jump) hosts.push([JUMP, found.jump]);
  const known = join(folder, 'known_hosts');
  const lines = hosts.flatMap(([alias, host]) => host.hostKeys.map((key) => `${alias} ${key}\n`));
  writeFileSync(known, lines.join(''), { mode: 0o600 });
  return hosts
    .map(([alias, host]) => {
      const keys = host.keys.filter((key) => existsSync(key));
      if (keys.length < host.keys.length)
        tell(
          `not all keys for ${host.address} are on this host; ssh tries ${keys.length > 0 ? 'those that are' : 'your own'}`,
        );
      return [
        `Host ${alias}`,
        `HostName ${quoted(host.address)}`,
        `Port ${host.port}`,
        `User ${quoted(host.user)}`,
        `HostKeyAlias ${alias}`,
        `UserKnownHostsFile ${quoted(known)}`,
        'GlobalKnownHostsFile none',
        'StrictHostKeyChecking yes',
        ...keys.map((key) => `IdentityFile ${quoted(key)}`),
        ...(keys.length > 0 && host.agent === null ? ['IdentitiesOnly yes'] : []),
        ...(host.agent === null || host.agent === 'env' ? [] : [`IdentityAgent ${quoted(host.agent)}`]),
        ...(alias === TARGET && found.jump ? [`ProxyJump ${JUMP}`] : []),
        '',
      ].join('\n');
    })
    .join('\n');
}

/** ssh knows no escapes inside its quotes, and takes % for the beginning of a token. */
function quoted(text: string): string {
  if (/["\r\n]/.test(text))
    throw new CerebroError(
      'unsupported',
      `ssh cannot be told of ${JSON.stringify(text)}: it holds a quote or a line break`,
    );
  return `"${text.replaceAll('%', '%%')}"`;
}

function run(program: string, args: readonly string[], cwd: string | undefined, context: CliContext): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', ...(cwd !== undefined && { cwd }) });
    const off = context.onSignal((signal) => child.kill(signal));
    child.once('error', (error) => {
      off();
      const text = systemCode(error) === 'ENOENT' ? `there is no program ${program} here` : error.message;
      reject(new CerebroError('unsupported', `the login could not be started: ${text}`));
    });
    child.once('close', (code, signal) => {
      off();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
