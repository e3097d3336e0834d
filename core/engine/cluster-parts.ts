import { join, resolve } from 'node:path';
import { asFunction } from 'awilix';
import { SecretKeyFile } from '../cluster/access/secret-key.ts';
import { ClusterSitter } from '../cluster/cluster-sitter.ts';
import type { PluginServices } from '../define-plugin.ts';
import { CerebroError } from '../errors.ts';
import { daemonApp } from '../http/daemon-app.ts';
import type { TokenHolders } from '../http/doors/auth.ts';
import { ClusterDoor } from '../http/doors/cluster-door.ts';
import { connectionBounds } from '../http/doors/connection-limit.ts';
import { HttpServer } from '../http/doors/http-server.ts';
import { forwardToLeader } from '../http/forward-to-leader.ts';
import { Pages } from '../http/pages/pages.ts';
import { adoptionRoutes } from '../http/routes/adoption-routes.ts';
import { backupRoute } from '../http/routes/backup-route.ts';
import { clusterMetricsRoute } from '../http/routes/cluster-metrics.ts';
import { clusterRoutes } from '../http/routes/cluster-routes.ts';
import { dnsRoutes } from '../http/routes/dns-routes.ts';
import { historyRoutes } from '../http/routes/history-routes.ts';
import { clusterLogRoute } from '../http/routes/log-route.ts';
import { secretRoutes } from '../http/routes/secret-routes.ts';
import { settingRoutes } from '../http/routes/setting-routes.ts';
import { tokenRoutes } from '../http/routes/token-routes.ts';
import { advertisedUrl } from './advertised-url.ts';
import type { ClusterName, Cradle, Registrations } from './cradle.ts';
import { JoinedPeers } from './joined-peers.ts';
import { type PluginInstance, pluginsFor } from './load-plugins.ts';
import type { ModeParts } from './mode-parts.ts';
import { packageVersion } from './package-root.ts';
import { pagesParts } from './pages-parts.ts';
import { pluginViews } from './plugin-views.ts';

/** How old the figures on a page of the dashboard may be, in milliseconds. */
const KEEP_PAGES_MS = 1000;

/** What only a cluster sitter has. */
export const clusterParts: ModeParts = {
  register: (container) => container.register(clusterRegistrations),
  app: clusterApp,
  server: clusterServer,
  holders: tokenHoldersOf,
  identities: identitiesOf,
};

const clusterRegistrations: Registrations<ClusterName> = {
  store: asFunction(({ plugins }: Cradle) => onlyOne(plugins)).singleton(),
  clusterDoor: asFunction(({ app }: Cradle) => new ClusterDoor(app.callback())).singleton(),
  joinedPeers: asFunction(
    ({ clusterSitter: { peers }, clusterDoor: door, store, auth, dataFolder, clock, logger }: Cradle) =>
      new JoinedPeers({ store, peers, auth, door, dataFolder, clock, logger }),
  ).singleton(),
  clusterSitter: asFunction((cradle: Cradle) => {
    const { settings, dataDir, store, plugins, clock, logger, pino } = cradle;
    return new ClusterSitter({
      address: store.shared ? () => advertisedUrl(settings, cradle.httpServer.url) : undefined,
      settings,
      store,
      providers: pluginsFor(plugins, 'machine-provider'),
      dnsProviders: pluginsFor(plugins, 'dns-provider'),
      recipeLoaders: pluginsFor(plugins, 'recipe-loader'),
      notifiers: pluginsFor(plugins, 'notifier'),
      secretKey: new SecretKeyFile(resolve(settings.secret_key_file ?? join(dataDir, 'secret.key'))),
      plugins: (zones) => pluginViews(plugins, zones),
      origins: cradle.origins,
      setLogLevel: (level) => {
        pino.level = level;
      },
      version: packageVersion,
      clock,
      logger,
    });
  }).singleton(),
  pages: asFunction(
    (cradle: Cradle) =>
      new Pages({
        ...pagesParts(cradle, pluginsFor(cradle.plugins, 'ui'), cradle.clusterSitter.api),
        keepMs: KEEP_PAGES_MS,
      }),
  ).singleton(),
};

function clusterApp({ clusterSitter, auth, logger, pages, requestStop, readiness }: Cradle): Cradle['app'] {
  const down = async (by: string): Promise<void> => {
    try {
      await clusterSitter.suspend(by);
    } finally {
      // After the answer: with the daemon its connections go.
      setImmediate(requestStop);
    }
  };
  return daemonApp({
    title: 'Cerebro cluster sitter',
    version: packageVersion,
    auth,
    logger,
    routes: [
      ...clusterRoutes(clusterSitter.api, { down }),
      ...dnsRoutes(clusterSitter.api),
      ...adoptionRoutes(clusterSitter.adoption),
      ...secretRoutes(clusterSitter.secrets),
      ...tokenRoutes(clusterSitter.tokens),
      ...settingRoutes(clusterSitter.api),
      backupRoute(clusterSitter.api),
      clusterLogRoute(clusterSitter.api),
      ...historyRoutes(clusterSitter.api),
      clusterMetricsRoute(clusterSitter.api),
    ],
    errorPage: (ctx, answer) => pages.errorPage(ctx, answer),
    before: [forwardToLeader({ auth, peers: clusterSitter.peers }), pages.middleware()],
    ready: () => readiness.ready,
  });
}

/** The others reach one of several cluster sitters by the same port as people do. */
function clusterServer({ app, store, clusterDoor, settings }: Cradle): HttpServer {
  const bounds = connectionBounds(settings.max_connections);
  return new HttpServer(app, store.shared ? { bounds, door: clusterDoor } : { bounds });
}

/** Asked with each request, when the cluster sitter is there. */
function tokenHoldersOf(cradle: Cradle): TokenHolders {
  return {
    holderOf: (token) => cradle.clusterSitter.tokens.holderOf(token),
    holder: (id) => cradle.clusterSitter.tokens.holder(id),
  };
}

/** The cluster sitter is made of plugins itself: it is looked for when it is asked, and not while they are created. */
function identitiesOf(cradle: Cradle): PluginServices['identities'] {
  return {
    issue: (machineId) => cradle.clusterSitter.identities.issue(machineId),
    greet: (machineId, endpoint) => cradle.clusterSitter.identities.greet(machineId, endpoint),
  };
}

function onlyOne(plugins: readonly PluginInstance[]): Cradle['store'] {
  const stores = plugins.filter((plugin) => plugin.point === 'state-store');
  const [store] = pluginsFor(plugins, 'state-store');
  if (!store || stores.length > 1) {
    throw new CerebroError(
      'plugin',
      `a cluster sitter needs one state-store, plugins.json lists ${stores.map((plugin) => plugin.id).join(', ') || 'none'}`,
    );
  }
  return store;
}
