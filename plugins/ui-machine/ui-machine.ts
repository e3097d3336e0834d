import type { MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page, UiPlugin } from '../../core/contracts/ui.ts';
import { chartsPage } from './charts-page.ts';
import { eventsPage } from './events-page.ts';
import { logPage } from './log-page.ts';
import { overviewPage } from './overview-page.ts';
import { taskPages } from './task-pages.ts';

/** The pages of a machine sitter: how the machine is doing, what runs on it, and the forms that act on it. It keeps nothing. */
export class UiMachine implements UiPlugin<MachineApi> {
  readonly name = 'machine';
  /** The templates are the built-in ones, so that the sign-in and error pages share their layout. */
  readonly templates = null;
  readonly pages: readonly Page<MachineApi>[] = [overviewPage, chartsPage, ...taskPages, logPage, eventsPage];

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }
}
