import { resolve } from 'node:path';
import { asFunction } from 'awilix';
import { daemonApp } from '../http/daemon-app.ts';
import { connectionBounds } from '../http/doors/connection-limit.ts';
import { HttpServer } from '../http/doors/http-server.ts';
import { MachineDoor } from '../http/doors/machine-door.ts';
import { Pages } from '../http/pages/pages.ts';
import { machineMetricsRoute } from '../http/routes/machine-metrics.ts';
import { machineRoutes } from '../http/routes/machine-routes.ts';
import { vitalsRoutes } from '../http/routes/vitals-routes.ts';
import { offeredRoom } from '../machine/capacity.ts';
import { MachineSitter } from '../machine/machine-sitter.ts';
import { OwnIdentity } from '../machine/own-identity.ts';
import { ServedMachine } from '../machine/served-machine.ts';
import { Standing } from '../machine/shim/standing.ts';
import { TasksFile } from '../machine/tasks-file.ts';
import { Vitals } from '../machine/vitals.ts';
import { ChosenEnforcer } from './chosen-enforcer.ts';
import type { Cradle, MachineName, Registrations } from './cradle.ts';
import { pluginsFor } from './load-plugins.ts';
import type { ModeParts } from './mode-parts.ts';
import { noIdentities } from './no-identities.ts';
import { packageVersion } from './package-root.ts';
import { pagesParts } from './pages-parts.ts';

/** What only a machine sitter has. */
export const machineParts: ModeParts = {
  register: (container, dataDir) => container.register(machineRegistrations(dataDir)),
  app: machineApp,
  server: machineServer,
  identities: () => noIdentities,
};

const machineRegistrations = (dataDir: string): Registrations<MachineName> => ({
  enforcer: asFunction(
    ({ plugins, settings, logger }: Cradle) =>
      new ChosenEnforcer(pluginsFor(plugins, 'limit-enforcer'), settings.enforcer, logger),
  ).singleton(),
  machineSitter: asFunction(
    ({ enforcer, clock, logger, processes, settings, standing }: Cradle) =>
      new MachineSitter({
        dataDir,
        enforcer,
        clock,
        logger,
        processes,
        standing,
        offered: offeredRoom(settings),
        tasksGroup: settings.tasks_group || undefined,
      }),
  ).singleton(),

  vitals: asFunction(
    ({ machineSitter: sitter, clock, logger }: Cradle) => new Vitals({ dataDir, sitter, clock, logger }),
  ).singleton(),
  servedMachine: asFunction(
    ({ machineSitter: sitter, vitals, tasksFile, enforcer }: Cradle) =>
      new ServedMachine({ version: packageVersion, sitter, vitals, tasksFile, enforcer }),
  ).singleton(),
  machinePages: asFunction(
    (cradle: Cradle) => new Pages(pagesParts(cradle, pluginsFor(cradle.plugins, 'machine-ui'), cradle.servedMachine)),
  ).singleton(),
  ownIdentity: asFunction(
    ({ clock, logger }: Cradle) => new OwnIdentity({ folder: dataDir, clock, logger }),
  ).singleton(),
  tasksFile: asFunction(
    ({ settings, machineSitter, logger }: Cradle) =>
      new TasksFile({
        path: settings.tasks_file === undefined ? undefined : resolve(settings.tasks_file),
        dataDir,
        sitter: machineSitter,
        logger,
      }),
  ).singleton(),
  standing: asFunction(({ logger }: Cradle) => new Standing(logger)).singleton(),
});

function machineApp(cradle: Cradle): Cradle['app'] {
  const {
    machineSitter,
    vitals,
    machinePages: pages,
    enforcer,
    auth,
    logger,
    requestStop,
    readiness,
    ownIdentity,
    tasksFile,
  } = cradle;
  const about = { version: packageVersion, enforcer, identity: ownIdentity, vitals, tasksFile, suspend: requestStop };
  return daemonApp({
    title: 'Cerebro machine sitter',
    version: packageVersion,
    auth,
    logger,
    routes: [
      ...machineRoutes(machineSitter, about),
      ...vitalsRoutes(vitals),
      machineMetricsRoute(machineSitter, vitals, packageVersion),
    ],
    errorPage: (ctx, answer) => pages.errorPage(ctx, answer),
    before: [pages.middleware()],
    ready: () => readiness.ready,
  });
}

/** The certificate has been read by then: the server is made when it is to listen. */
function machineServer({ app, ownIdentity, settings }: Cradle): HttpServer {
  const door = new MachineDoor(app.callback(), ownIdentity.current);
  ownIdentity.onChange((identity) => door.use(identity));
  return new HttpServer(app, { door, bounds: connectionBounds(settings.max_connections) });
}
