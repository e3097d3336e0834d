import type { Mode } from '../define-plugin.ts';
import type { SettingOrigins } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';

export interface DaemonOptions {
  mode: Mode;
  settings: Settings;
  /** Where they came from; absent: nobody asks. */
  origins?: SettingOrigins;
  /** Another list of plugins than the package's own. */
  pluginsFile: string | undefined;
  /** Where the daemon's own log goes: a file, or standard error. */
  logFile: string | undefined;
  /** Take any free port when the wanted one is taken. */
  portFallback: boolean;
  /** Called once, when the daemon is to end for a reason of its own (`down`, `suspend`). */
  onStopRequested: () => void;
}

/** A daemon in one of its modes: the same engine, plugins, HTTP and files; another heart. */
export interface Daemon {
  /** Starts everything, in order; stops what was started and throws when a part cannot. */
  start(): Promise<void>;
  /** Stops everything in reverse; tasks run on. */
  stop(): Promise<void>;
  /** Reads again what can be changed while it runs (SIGHUP): the file of tasks of a machine sitter. */
  reload(): Promise<void>;
  /** Ends the tasks of a machine sitter in order, to be started again by its next start. */
  endTasks(): Promise<void>;
  readonly url: string;
  /** The link that signs a browser in. */
  readonly signInUrl: string;
  readonly adminToken: string;
}

export const DEFAULT_PORT: Record<Mode, number> = { cluster: 30_000, machine: 40_000 };
