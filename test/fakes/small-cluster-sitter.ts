import { ClusterSitter, type ClusterSitterDeps } from '../../core/cluster/cluster-sitter.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { silentLogger } from './silent-logger.ts';

type Given = Pick<ClusterSitterDeps, 'store' | 'providers'> & Partial<Omit<ClusterSitterDeps, 'settings'>>;

/** A cluster sitter of these parts, with nothing beside that they do not need; it is not started. `settings`: what differs from the presets. */
export function smallClusterSitter(given: Given, settings: Record<string, unknown> = {}): ClusterSitter {
  return new ClusterSitter({
    settings: readSettings(undefined, settings),
    recipeLoaders: [],
    notifiers: [],
    plugins: () => [],
    setLogLevel: () => undefined,
    version: 'test',
    clock: new SystemClock(),
    logger: silentLogger,
    ...given,
  });
}
