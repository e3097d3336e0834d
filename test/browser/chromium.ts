import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { skipUnless } from '../fakes/needs.ts';

const PROGRAM = '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--no-first-run',
  '--disable-dev-shm-usage',
];
const PATIENCE_MS = 120_000;

/** What a screen is like: the looks that every page has to stand. */
export const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  narrow: { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
} as const satisfies Record<string, BrowserContextOptions>;

export interface Window {
  context: BrowserContext;
  tab: Page;
  /** What went wrong in it: errors of scripts, and what the Content-Security-Policy held back. */
  complaints: string[];
}

/** A real browser. */
export class Chromium {
  #browser: Browser | null = null;

  /** true: there is no browser, and the test has been told so. */
  static missing(t: Test): boolean {
    return skipUnless(t, existsSync(PROGRAM), `${PROGRAM} is not there: apt-get install chromium`);
  }

  async start(): Promise<void> {
    this.#browser = await chromium.launch({ executablePath: PROGRAM, args: FLAGS, timeout: PATIENCE_MS });
  }

  async stop(): Promise<void> {
    await this.#browser?.close();
    this.#browser = null;
  }

  /** A window of somebody who has signed in at `url` with `token`. */
  async window(url: string, token: string, options: BrowserContextOptions = {}): Promise<Window> {
    if (!this.#browser) throw new Error('the browser was not started');
    const context = await this.#browser.newContext(options);
    const tab = await context.newPage();
    tab.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    tab.on('pageerror', (error) => complaints.push(error.message));
    tab.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) complaints.push(message.text());
    });
    await tab.goto(`${url}/signin`);
    await tab.fill('input[name=token]', token);
    await tab.click('main button');
    await tab.waitForURL(`${url}/`);
    return { context, tab, complaints };
  }
}

const axe = (): string => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What keeps people from using the page as it stands, as axe finds it (WCAG 2.2 AA and its best practices). Needs `bypassCSP`. */
export async function barriers(tab: Page): Promise<string[]> {
  await tab.evaluate(axe());
  const found = (await tab.evaluate("axe.run({ resultTypes: ['violations'] })")) as {
    violations: { id: string; nodes: { html: string }[] }[];
  };
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
}

/** Whether all of the page is within the window, so that nothing has to be scrolled for sideways. */
export async function fits(tab: Page): Promise<boolean> {
  return Boolean(await tab.evaluate('document.documentElement.scrollWidth <= innerWidth'));
}
