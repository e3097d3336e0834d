import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { EmbeddedCluster, eventually } from '../e2e/embedded-cluster.ts';
import { skipUnless } from '../fakes/needs.ts';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--no-first-run',
  '--disable-dev-shm-usage',
];
const PATIENCE_MS = 120_000;

/** A name that would be markup, were it not text. Slashes are not allowed in names. */
export const SCRIPT_JOB = '<script>alert(1)<b>';

const jobs = (odd: string): string => `
task_configuration:
  name: web
  command: |
    i=0; while :; do i=$((i+1))
    printf '\\033[32mserved\\033[0m request %s <i>as text</i>\\n' $i
    [ $((i % 5)) = 0 ] && printf '\\033[33;1mslow\\033[0m answer %s\\n' $i >&2
    sleep 1; done
  cpu: .1
  mem: 64
  ensure_alive: true
deployment_layout: { local-a: { count: 2 } }
update: { min_healthy: 1 }
---
task_configuration: { name: nightly report, command: 'echo done', cpu: .1, mem: 32, allow_exit: true }
deployment_layout: { local-a: { count: 1 } }
schedule: '0 3 1 1 *'
---
task_configuration: { name: '${odd}', command: 'exec sleep 1000', cpu: .1, mem: 32, ensure_alive: true }
deployment_layout: { local-a: { count: 1 } }
update: { min_healthy: 0 }
---
task_configuration: { name: worker, command: 'echo "cannot open the queue" >&2; exit 3', cpu: .1, mem: 32, ensure_alive: true, backoff: { first: 1, then: 300 } }
deployment_layout: { local-b: { count: 1 } }
update: { auto_revert: false }
`;

/** A real cluster with some jobs, and a real browser that looks at it. */
export class DashboardInBrowser {
  readonly cluster = new EmbeddedCluster();
  readonly #oddJob: string;
  #browser: Browser | null = null;

  constructor(oddJob: string = SCRIPT_JOB) {
    this.#oddJob = oddJob;
  }

  /** true: there is no browser, and the test has been told so. */
  static missing(t: Test): boolean {
    return skipUnless(t, existsSync(CHROMIUM), `${CHROMIUM} is not there: apt-get install chromium`);
  }

  async start(): Promise<void> {
    await Promise.all([this.#startCluster(), this.#startBrowser()]);
  }

  async stop(): Promise<void> {
    await this.#browser?.close();
    await this.cluster.remove();
  }

  /** A window of a browser that is signed in, and what went wrong in it. */
  async window(
    options: BrowserContextOptions = {},
    token: string = this.cluster.token,
  ): Promise<{ context: BrowserContext; tab: Page; complaints: string[] }> {
    if (!this.#browser) throw new Error('the browser was not started');
    const context = await this.#browser.newContext(options);
    const tab = await context.newPage();
    tab.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    tab.on('pageerror', (error) => complaints.push(error.message));
    tab.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) complaints.push(message.text());
    });
    await tab.goto(`${this.cluster.url}/signin`);
    await tab.fill('input[name=token]', token);
    await tab.click('main button');
    await tab.waitForURL(`${this.cluster.url}/`);
    return { context, tab, complaints };
  }

  async #startBrowser(): Promise<void> {
    this.#browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: PATIENCE_MS });
  }

  async #startCluster(): Promise<void> {
    await this.cluster.up();
    const answer = await this.cluster.apply(jobs(this.#oddJob));
    if (!answer.ok) throw new Error(`the jobs were refused: ${await answer.text()}`);
    await this.cluster.ready('web', 2);
    await this.cluster.ready(this.#oddJob, 1);
    await eventually(
      async () => (await this.cluster.copies()).some(({ job, state }) => job === 'worker' && state === 'failing'),
      'one job is in trouble',
    );
  }
}

const axe = (): string => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What keeps people from using the page as it stands, as axe finds it (WCAG 2.2 AA and its best practices). */
export async function barriers(tab: Page): Promise<string[]> {
  await tab.evaluate(axe());
  const found = (await tab.evaluate('axe.run()')) as { violations: { id: string; nodes: { html: string }[] }[] };
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
}
