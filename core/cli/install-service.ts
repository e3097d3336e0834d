import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { selfCommand } from '../engine/package-root.ts';
import { settingsWithOrigins } from '../engine/read-settings.ts';
import { CerebroError, messageOf } from '../errors.ts';
import { type CliContext, printJson } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { serviceUnits, UNIT_MARK, type UnitFile } from './service-units.ts';

interface Flags {
  user?: boolean;
  into?: string;
  print?: boolean;
  force?: boolean;
  json?: boolean;
}

type Outcome = 'written' | 'unchanged';

/** `cerebro install-service`: writes the units for systemd, and says what to do next. It starts nothing. */
export function installService(program: Command, context: CliContext): void {
  program
    .command('install-service')
    .description('write the systemd units of a daemon: of a machine sitter, or with --mode cluster of a cluster sitter')
    .option('--user', 'for the systemd of this user instead of the system')
    .option('--into <folder>', 'write them there instead of where systemd looks for them')
    .option('--print', 'print them, and write nothing')
    .option('--force', 'overwrite units that were not written by this command')
    .option('--json', 'print JSON')
    .action((flags: Flags) => {
      const daemon = program.opts<DaemonFlags>();
      const { mode = 'machine' } = daemon;
      if (mode !== 'machine' && mode !== 'cluster')
        throw new CerebroError('usage', `--mode: "${mode}" is neither machine nor cluster`);
      if (daemon.tasksGroup !== undefined)
        throw new CerebroError('usage', '--tasks-group: the units make a group for the tasks themselves; leave it out');
      const user = flags.user === true;
      const named = dataDirIn(daemon.settings);
      const dataDir = daemon.dataDir ?? named;
      const units = serviceUnits({
        mode,
        user,
        command: selfCommand(daemon.plugins === undefined ? undefined : resolve(daemon.plugins)),
        dataDir: dataDir === undefined ? null : resolve(dataDir),
        settingsFile: daemon.settings === undefined ? null : resolve(daemon.settings),
        flags: passedOn(daemon),
      });
      if (flags.print) return context.out(units.map(({ name, text }) => `# ${name}\n${text}`).join('\n'));
      const folder = resolve(flags.into ?? (user ? userFolder() : '/etc/systemd/system'));
      const outcomes = writeUnits(folder, units, flags.force === true);
      if (flags.json) return printJson(context, { folder, units: Object.fromEntries(outcomes) });
      for (const [name, outcome] of outcomes) context.out(`${join(folder, name)}: ${outcome}`);
      context.out(nextSteps(mode, user));
    });
}

/**
 * The data folder that a settings file names, undefined where it names none. The file is read now, so that a mistake in it is told here
 * and not in the journal. Throws `invalid` for what a service would look for in another place than one that is started here.
 */
function dataDirIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const { settings, origins } = settingsWithOrigins(file, {});
  const { tasks_file, secret_key_file, recipe_path } = settings;
  for (const [key, paths] of Object.entries({ tasks_file, secret_key_file, recipe_path }))
    for (const path of [paths].flat())
      if (path !== undefined && path !== null && !isAbsolute(path) && origins.inFile.includes(key))
        throw new CerebroError(
          'invalid',
          `${file}: ${key}: "${path}" is meant from the current folder, and a service runs in another: write ${resolve(path)}`,
        );
  return origins.inFile.includes('data_dir') ? settings.data_dir : undefined;
}

/** Every flag that the daemon itself understands; paths as they are from here, since the unit runs elsewhere. */
function passedOn(flags: DaemonFlags): string[] {
  const { host, port, logLevel, tasks, stopTasks, capacityCpu, capacityMem } = flags;
  return [
    ...(host === undefined ? [] : ['--host', host]),
    ...(port === undefined ? [] : ['--port', port]),
    ...(logLevel === undefined ? [] : ['--log-level', logLevel]),
    ...(tasks === undefined ? [] : ['--tasks', resolve(tasks)]),
    ...(stopTasks ? ['--stop-tasks'] : []),
    ...(capacityCpu === undefined ? [] : ['--capacity-cpu', capacityCpu]),
    ...(capacityMem === undefined ? [] : ['--capacity-mem', capacityMem]),
  ];
}

function userFolder(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'systemd', 'user');
}

/** All are looked at before the first is written. */
function writeUnits(folder: string, units: readonly UnitFile[], force: boolean): Map<string, Outcome> {
  const outcomes = new Map<string, Outcome>();
  try {
    for (const { name, text } of units) {
      const path = join(folder, name);
      const there = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
      if (there !== undefined && !there.startsWith(UNIT_MARK) && !force)
        throw new CerebroError(
          'conflict',
          `${path} was not written by this command, and was left as it is; --force overwrites it`,
        );
      outcomes.set(name, there === text ? 'unchanged' : 'written');
    }
    mkdirSync(folder, { recursive: true });
    for (const { name, text } of units) {
      if (outcomes.get(name) === 'unchanged') continue;
      writeFileSync(join(folder, `${name}.new`), text, { mode: 0o644 });
      renameSync(join(folder, `${name}.new`), join(folder, name));
    }
  } catch (error) {
    if (error instanceof CerebroError) throw error;
    throw new CerebroError(
      'unavailable',
      `the units cannot be written to ${folder}: ${messageOf(error)}; call it as root, or with --user for your own systemd`,
    );
  }
  return outcomes;
}

function nextSteps(mode: 'machine' | 'cluster', user: boolean): string {
  const systemctl = user ? 'systemctl --user' : 'systemctl';
  const linger = user ? '\nSo that it runs when you are not logged in: loginctl enable-linger' : '';
  return `Next: ${systemctl} daemon-reload && ${systemctl} enable --now cerebro-${mode}.service${linger}`;
}
