import type { Page, UiPlugin } from '../../core/contracts/ui.ts';
import { copyPages } from './copy-pages.ts';
import { eventsPage } from './events-page.ts';
import { jobPages } from './job-pages.ts';
import { machinePages } from './machine-pages.ts';
import { newJobPages } from './new-job-pages.ts';
import { overviewPage } from './overview-page.ts';
import { settingsPages } from './settings-pages.ts';

/** The dashboard: what runs where and why, and the forms that change it. It keeps nothing; each page is made when it is asked for. */
export class UiDashboard implements UiPlugin {
  readonly name = 'dashboard';
  /** The templates are the built-in ones, so that the sign-in and error pages share their layout. */
  readonly templates = null;
  readonly pages: readonly Page[] = [
    overviewPage,
    ...newJobPages,
    ...jobPages,
    ...copyPages,
    ...machinePages,
    eventsPage,
    ...settingsPages,
  ];

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }
}
