import type { BrowserContextOptions } from 'playwright-core';
import { EmbeddedCluster, eventually } from '../e2e/embedded-cluster.ts';
import { Chromium, type Window } from './chromium.ts';

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
  readonly #browser = new Chromium();
  readonly #oddJob: string;

  constructor(oddJob: string = SCRIPT_JOB) {
    this.#oddJob = oddJob;
  }

  async start(): Promise<void> {
    await Promise.all([this.#startCluster(), this.#browser.start()]);
  }

  async stop(): Promise<void> {
    await this.#browser.stop();
    await this.cluster.remove();
  }

  /** A window of a browser that is signed in, and what went wrong in it. */
  window(options: BrowserContextOptions = {}, token: string = this.cluster.token): Promise<Window> {
    return this.#browser.window(this.cluster.url, token, options);
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
