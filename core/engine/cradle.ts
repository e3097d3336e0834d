import type { Resolver } from 'awilix';
import type Koa from 'koa';
import type { Logger as PinoLogger } from 'pino';
import type { ClusterSitter } from '../cluster/cluster-sitter.ts';
import type { Clock } from '../contracts/clock.ts';
import type { ClusterApi } from '../contracts/cluster-api.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineApi } from '../contracts/machine-api.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import type { StateStore } from '../contracts/state-store.ts';
import type { Mode } from '../define-plugin.ts';
import type { Auth } from '../http/doors/auth.ts';
import type { ClusterDoor } from '../http/doors/cluster-door.ts';
import type { HttpServer } from '../http/doors/http-server.ts';
import type { Pages } from '../http/pages/pages.ts';
import type { MachineSitter } from '../machine/machine-sitter.ts';
import type { OwnIdentity } from '../machine/own-identity.ts';
import type { ServedMachine } from '../machine/served-machine.ts';
import type { Standing } from '../machine/shim/standing.ts';
import type { TasksFile } from '../machine/tasks-file.ts';
import type { Vitals } from '../machine/vitals.ts';
import type { SettingOrigins } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';
import type { ChosenEnforcer } from './chosen-enforcer.ts';
import type { DataFolder } from './data-folder.ts';
import type { JoinedPeers } from './joined-peers.ts';
import type { PluginInstance } from './load-plugins.ts';

interface SharedParts {
  mode: Mode;
  settings: Settings;
  /** Where they came from; undefined: nobody asks. */
  origins: SettingOrigins | undefined;
  /** Absolute. */
  dataDir: string;
  dataFolder: DataFolder;
  pino: PinoLogger;
  logger: Logger;
  clock: Clock;
  processes: ProcessTable;
  plugins: PluginInstance[];
  auth: Auth;
  app: Koa;
  httpServer: HttpServer;
  /** Ends the daemon from within, in order. */
  requestStop: () => void;
  /** Everything was started. */
  readiness: { ready: boolean };
}

interface MachineParts {
  enforcer: ChosenEnforcer;
  machineSitter: MachineSitter;
  ownIdentity: OwnIdentity;
  vitals: Vitals;
  servedMachine: ServedMachine;
  machinePages: Pages<MachineApi>;
  standing: Standing;
  tasksFile: TasksFile;
}

interface ClusterParts {
  store: StateStore;
  clusterSitter: ClusterSitter;
  clusterDoor: ClusterDoor;
  joinedPeers: JoinedPeers;
  pages: Pages<ClusterApi>;
}

/** Everything that the container holds; what belongs to one mode is resolved only where that mode asks for it. */
export interface Cradle extends SharedParts, MachineParts, ClusterParts {}

export type SharedName = keyof SharedParts;
export type MachineName = keyof MachineParts;
export type ClusterName = keyof ClusterParts;

/** A registration of the wrong type for its name does not compile. */
export type Registrations<Name extends keyof Cradle> = { [K in Name]: Resolver<Cradle[K]> };
