import { join } from 'node:path';
import type { Logger } from '../contracts/logger.ts';
import { LogKeeper } from '../machine/log-keeper.ts';
import { baseEnvironment } from '../machine/machine-sitter.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { Shims } from '../machine/shim.ts';
import { TaskFiles } from '../machine/task-files.ts';
import { TaskSitter } from '../machine/task-sitter.ts';
import type { TaskConfiguration } from '../model/task-configuration.ts';
import { ChosenEnforcer } from './chosen-enforcer.ts';
import { createPlugins, loadPlugins, pluginsFor } from './load-plugins.ts';
import { packageRoot, selfCommand } from './package-root.ts';
import { SystemClock } from './system-clock.ts';

/** A task sitter on its own, for `cerebro task`: the enforcers of plugins.json, and a folder that goes with it. */
export async function createTaskHarness(
  folder: string,
  configuration: TaskConfiguration,
  say: (line: string) => void,
): Promise<{ sitter: TaskSitter; stop: () => Promise<void> }> {
  const clock = new SystemClock();
  const processes = new ProcTable();
  const logger = sayingLogger(say);
  const loaded = (await loadPlugins(join(packageRoot, 'plugins.json'), 'machine')).filter(
    ({ definition }) => definition.point === 'limit-enforcer',
  );
  const plugins = createPlugins(loaded, () => ({
    clock,
    logger,
    processes,
    dataDir: folder,
    recipePath: [],
    selfCommand: selfCommand(undefined),
  }));
  const enforcer = new ChosenEnforcer(pluginsFor(plugins, 'limit-enforcer'), 'auto', logger);
  await enforcer.start();
  const shims = new Shims({ folder, env: baseEnvironment(), clock, processes, spares: 0, ownStreams: true });
  shims.start();
  const logKeeper = new LogKeeper({ clock, logger, onDiskFull: say });
  const sitter = new TaskSitter(
    {
      files: new TaskFiles(join(folder, 'task')),
      enforcer,
      clock,
      logger,
      processes,
      shims,
      logKeeper,
      baseEnv: baseEnvironment(),
      ownStreams: true,
      onChange: () => undefined,
      onEvent: (event) => {
        if (event.level !== 'info') say(event.message);
      },
    },
    { id: configuration.name, job: configuration.name, version: 1, configuration },
    null,
  );
  return {
    sitter,
    stop: async () => {
      await sitter.stop();
      await logKeeper.stop();
      shims.stop();
      await enforcer.stop();
    },
  };
}

/** What goes wrong is said; the rest is not, for standard error belongs to the task. */
function sayingLogger(say: (line: string) => void): Logger {
  const quiet = (): void => undefined;
  const loud = (_fields: object, message: string): void => say(message);
  const logger: Logger = { debug: quiet, info: quiet, warn: loud, error: loud, child: () => logger };
  return logger;
}
