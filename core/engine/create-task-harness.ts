import { join } from 'node:path';
import type { Logger } from '../contracts/logger.ts';
import { CerebroError } from '../errors.ts';
import { daemonApp } from '../http/daemon-app.ts';
import { Auth } from '../http/doors/auth.ts';
import { HttpServer } from '../http/doors/http-server.ts';
import { type MonitoredTask, taskMonitorRoutes } from '../http/routes/task-monitor-routes.ts';
import { LogKeeper } from '../machine/logs/log-keeper.ts';
import { baseEnvironment } from '../machine/machine-sitter.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { TaskFiles } from '../machine/records/task-files.ts';
import { DeadMansSwitch } from '../machine/shim/dead-mans-switch.ts';
import { Shims } from '../machine/shim/shims.ts';
import { TaskSitter } from '../machine/task/task-sitter.ts';
import type { TaskStatus } from '../model/task.ts';
import type { TaskConfiguration } from '../model/task-configuration.ts';
import { ChosenEnforcer } from './chosen-enforcer.ts';
import { DataFolder } from './data-folder.ts';
import { createPlugins, loadPlugins, pluginsFor } from './load-plugins.ts';
import { noIdentities } from './no-identities.ts';
import { packageRoot, packageVersion, selfCommand } from './package-root.ts';
import { SystemClock } from './system-clock.ts';

export interface TaskHarnessOptions {
  /** Where it keeps its files; goes with it. */
  folder: string;
  configuration: TaskConfiguration;
  /** Another list of plugins than the package's own. */
  pluginsFile: string | undefined;
  /** `auto`, or the name of an enforcer. */
  enforcer: string;
  collectStats: boolean;
  /** The token of the HTTP monitor; undefined: one is made and kept in the folder. */
  token: string | undefined;
  /** For what the person at the terminal has to know. */
  say(line: string): void;
}

/** A task sitter on its own. */
export interface TaskHarness {
  readonly sitter: TaskSitter;
  /** Where the HTTP monitor listens, and where its token is; null: there is none. */
  readonly monitor: { url: string; tokenFile: string | null } | null;
  stop(): Promise<void>;
}

/** A task sitter on its own, for `cerebro task`: the enforcers of plugins.json, one task, and an HTTP monitor where one is wanted. */
export async function createTaskHarness(options: TaskHarnessOptions): Promise<TaskHarness> {
  const { folder, configuration, say } = options;
  const clock = new SystemClock();
  const processes = new ProcTable();
  const logger = sayingLogger(say);
  const enforcer = await startEnforcer(options, { clock, processes, logger });
  const shims = new Shims({ folder, env: baseEnvironment(), clock, processes, spares: 0, ownStreams: true });
  shims.start();
  const logKeeper = new LogKeeper({ clock, logger, onDiskFull: say });
  const dead = new DeadMansSwitch();
  const files = new TaskFiles(join(folder, 'task'));
  const listeners = new Set<() => void>();
  const sitter = new TaskSitter(
    {
      files,
      enforcer,
      clock,
      logger,
      processes,
      shims,
      logKeeper,
      baseEnv: baseEnvironment(),
      collectStats: options.collectStats,
      ownStreams: true,
      onOrder: (run) => dead.hold(run),
      onChange: (changed) => {
        const running = changed.held();
        if (running) dead.hold(running);
        else dead.release();
        for (const listener of listeners) listener();
      },
      onEvent: (event) => {
        // How the command ended by itself is told by its own output and by our exit code.
        const byItself =
          event.kind === 'task-ended' && ['exit', 'signal'].includes(sitter.status().lastEnd?.reason ?? '');
        if (event.level !== 'info' && !byItself) say(event.message);
      },
    },
    { id: configuration.name, job: configuration.name, version: 1, generation: 0, leash: null, configuration },
    null,
  );
  const task: MonitoredTask = {
    status: (): TaskStatus => sitter.status(),
    postMortems: () => files.runs().flatMap((run) => files.end(run) ?? []),
    act: (action, by) => act(sitter, action, by),
    log: (stream) => ({
      id: sitter.id,
      runs: files.runs(),
      newestRun: () => sitter.run,
      log: (run) => {
        const place = files.logPlace(run, stream);
        if (!place && files.run(run))
          throw new CerebroError(
            'not_found',
            `its ${stream} is the sitter's own and is kept nowhere; give --${stream}-location a folder`,
          );
        return place && logKeeper.log(place);
      },
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    }),
  };
  const stopAll = async (server: HttpServer | null): Promise<void> => {
    await server?.close();
    await sitter.stop();
    await logKeeper.stop();
    dead.stop();
    await shims.stop();
    await enforcer.stop();
  };
  if (!configuration.http_monitoring) return { sitter, monitor: null, stop: () => stopAll(null) };
  const folderOfSecrets = new DataFolder(folder, processes);
  const token = options.token ?? folderOfSecrets.adminToken();
  const auth = new Auth({ token, sessionKey: folderOfSecrets.sessionKey(), name: 'task' });
  const title = 'Cerebro task sitter';
  const server = new HttpServer(
    daemonApp({ title, version: packageVersion, auth, logger, routes: taskMonitorRoutes(task), ready: () => true }),
  );
  try {
    const url = await server.listen('127.0.0.1', configuration.http_monitoring_port);
    const tokenFile = options.token === undefined ? join(folder, 'admin.token') : null;
    return { sitter, monitor: { url, tokenFile }, stop: () => stopAll(server) };
  } catch (error) {
    await stopAll(server);
    throw error;
  }
}

async function startEnforcer(
  { folder, pluginsFile, enforcer: wanted }: TaskHarnessOptions,
  services: { clock: SystemClock; processes: ProcTable; logger: Logger },
): Promise<ChosenEnforcer> {
  const loaded = (await loadPlugins(pluginsFile ?? join(packageRoot, 'plugins.json'), 'machine')).filter(
    ({ definition }) => definition.point === 'limit-enforcer',
  );
  const plugins = createPlugins(loaded, () => ({
    ...services,
    dataDir: folder,
    identities: noIdentities,
    tasksGroup: '',
    recipePath: [],
    selfCommand: selfCommand(pluginsFile),
  }));
  const enforcer = new ChosenEnforcer(pluginsFor(plugins, 'limit-enforcer'), wanted, services.logger);
  await enforcer.start();
  return enforcer;
}

function act(sitter: TaskSitter, action: 'start' | 'stop' | 'restart', by: string): void {
  const why = `${action === 'stop' ? 'stopped' : `${action}ed`} by ${by}`;
  if (action === 'start') sitter.dispatch({ kind: 'start', why });
  else sitter.dispatch({ kind: action, reason: 'user', why });
}

/** What goes wrong is said; the rest is not, for standard error belongs to the task. */
function sayingLogger(say: (line: string) => void): Logger {
  const quiet = (): void => undefined;
  const loud = (_fields: object, message: string): void => say(message);
  const logger: Logger = { debug: quiet, info: quiet, warn: loud, error: loud, child: () => logger };
  return logger;
}
