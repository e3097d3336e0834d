import { join } from 'node:path';
import type { BrowserContextOptions } from 'playwright-core';
import { packageRoot } from '../../core/engine/package-root.ts';
import { DashboardInBrowser } from './dashboard-in-browser.ts';

/** Remakes the pictures of docs/ (`npm run screenshots`), or those of another folder: the first argument. */
const folder = process.argv[2] ?? join(packageRoot, 'docs');
const WIDE = { viewport: { width: 1280, height: 900 } } as const;
const NARROW = { viewport: { width: 390, height: 844 } } as const;

const dashboard = new DashboardInBrowser('mail queue');
try {
  await dashboard.start();
  const [copy] = await dashboard.cluster.ready('web', 2);
  if (!copy) throw new Error('web runs');
  for (const [name, scope] of [
    ['deploy pipeline', 'operate'],
    ['screen in the hall', 'read'],
  ]) {
    const made = await dashboard.cluster.cli(['token', 'create', String(name), '--scope', String(scope)]);
    if (made.code !== 0) throw new Error(made.stderr);
  }
  const shots: [string, string, BrowserContextOptions, boolean][] = [
    ['dashboard', '/', { ...WIDE, colorScheme: 'light' }, true],
    ['dashboard-dark', '/', { ...WIDE, colorScheme: 'dark' }, false],
    ['dashboard-narrow', '/', { ...NARROW, colorScheme: 'light' }, false],
    ['dashboard-job', '/jobs/web', { ...WIDE, colorScheme: 'light' }, true],
    ['dashboard-copy', `/copies/${copy.copy}`, { ...NARROW, colorScheme: 'dark' }, true],
    ['dashboard-logs', '/jobs/web/logs', { ...WIDE, colorScheme: 'dark' }, false],
    ['dashboard-machine', `/machines/${copy.machine}`, { ...WIDE, colorScheme: 'light' }, false],
    ['dashboard-settings', '/settings', { ...WIDE, colorScheme: 'light' }, true],
    ['dashboard-tokens', '/settings/tokens', { ...NARROW, colorScheme: 'light' }, true],
    ['dashboard-plan', `/machines/${copy.machine}/drain`, { ...WIDE, colorScheme: 'light' }, false],
  ];
  for (const [name, path, options, fullPage] of shots) {
    const { context, tab } = await dashboard.window(options);
    await tab.goto(dashboard.cluster.url + path, { waitUntil: 'load' });
    if (path.endsWith('/logs')) await tab.waitForSelector('.row:nth-child(12)');
    if (path.startsWith('/copies')) await tab.waitForSelector('.row:nth-child(4)');
    await tab.screenshot({ path: join(folder, `${name}.png`), fullPage });
    await context.close();
    console.log(join(folder, `${name}.png`));
  }
} finally {
  await dashboard.stop();
}
