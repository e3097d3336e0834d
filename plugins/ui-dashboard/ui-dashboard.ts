import type { Page, UiPlugin } from '../../core/contracts/ui.ts';
import { alertsPage } from './alerts-page.ts';
import { copyPages } from './copy-pages.ts';
import { eventsPage } from './events-page.ts';
import { jobChartsPage } from './job-charts-page.ts';
import { jobListPage } from './job-list-page.ts';
import { jobOrders } from './job-orders.ts';
import { jobPages } from './job-page.ts';
import { jobQuestions } from './job-questions.ts';
import { logPages } from './log-pages.ts';
import { machineListPage } from './machine-list-page.ts';
import { machinePages } from './machine-pages.ts';
import { newJobPages } from './new-job-pages.ts';
import { overviewPage } from './overview-page.ts';
import { searchPage } from './search-page.ts';
import { versionPages } from './version-pages.ts';

/** The dashboard: what runs where and why, and the forms that change it. It keeps nothing; each page is made when it is asked for. */
export class UiDashboard implements UiPlugin {
  readonly name = 'dashboard';
  /** The templates are the built-in ones, so that the sign-in and error pages share their layout. */
  readonly templates = null;
  readonly pages: readonly Page[] = [
    overviewPage,
    jobListPage,
    ...newJobPages,
    ...jobPages,
    ...jobQuestions,
    ...jobOrders,
    ...versionPages,
    jobChartsPage,
    ...copyPages,
    machineListPage,
    ...machinePages,
    ...logPages,
    alertsPage,
    eventsPage,
    searchPage,
  ];

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }
}
