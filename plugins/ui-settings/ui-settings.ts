import type { Page, UiPlugin } from '../../core/contracts/ui.ts';
import { pluginsPage } from './plugins-page.ts';
import { settingsPages } from './settings-page.ts';
import { tokenPages } from './token-pages.ts';

/** The pages about the cluster sitter itself: its settings, plugins and tokens. It keeps nothing. */
export class UiSettings implements UiPlugin {
  readonly name = 'settings';
  /** The templates are the built-in ones, as those of the dashboard are. */
  readonly templates = null;
  readonly pages: readonly Page[] = [...settingsPages, pluginsPage, ...tokenPages];

  async start(): Promise<void> {
    // The pages are there as long as the daemon's pages are; there is nothing of their own to begin.
  }

  async stop(): Promise<void> {
    // See start.
  }
}
