import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { PagedApi, PagesParts } from '../http/pages/pages.ts';
import type { Cradle } from './cradle.ts';
import { packageRoot } from './package-root.ts';

/** What all pages of a daemon are made from. */
export function pagesParts<Api extends PagedApi>(
  { auth, logger }: Pick<Cradle, 'auth' | 'logger'>,
  plugins: PagesParts<Api>['plugins'],
  api: Api,
): PagesParts<Api> {
  return { plugins, api, auth, logger, templates: join(packageRoot, 'templates'), assets: assets() };
}

/** The one style sheet, in the order of its parts: what is later wins. */
const STYLE = ['tokens', 'base', 'frame', 'controls', 'tables', 'states', 'notes', 'charts', 'logs', 'narrow'] as const;

function assets(): PagesParts<PagedApi>['assets'] {
  const folder = join(packageRoot, 'templates', 'assets');
  const { resolve: find } = createRequire(import.meta.url);
  return {
    'app.css': { path: STYLE.map((name) => join(folder, 'style', `${name}.css`)), type: 'text/css' },
    'app.js': { path: join(folder, 'app.js'), type: 'text/javascript' },
    'log.js': { path: join(folder, 'log.js'), type: 'text/javascript' },
    'logs.js': { path: join(folder, 'logs.js'), type: 'text/javascript' },
    'log-stream.js': { path: join(folder, 'log-stream.js'), type: 'text/javascript' },
    'log-lines.js': { path: join(folder, 'log-lines.js'), type: 'text/javascript' },
    'log-search.js': { path: join(folder, 'log-search.js'), type: 'text/javascript' },
    'log-window.js': { path: join(folder, 'log-window.js'), type: 'text/javascript' },
    'ansi.js': { path: join(folder, 'ansi.js'), type: 'text/javascript' },
    'icon.svg': { path: join(folder, 'icon.svg'), type: 'image/svg+xml' },
    'htmx.min.js': { path: find('htmx.org/dist/htmx.min.js'), type: 'text/javascript' },
  };
}
