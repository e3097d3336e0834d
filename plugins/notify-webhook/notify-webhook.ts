import { readFileSync } from 'node:fs';
import type { Notice, Notifier } from '../../core/contracts/notifier.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { Config } from './schema.ts';

/** Posts alerts to an address, as JSON or in the form that Slack takes. The address is never shown: it may be a secret. */
export class NotifyWebhook implements Notifier {
  readonly name = 'webhook';
  readonly #config: Config;
  readonly #underWay = new Set<AbortController>();
  #url: string | null = null;

  constructor(config: Config) {
    this.#config = config;
  }

  async start(): Promise<void> {
    this.#url = this.#address();
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#url = null;
    for (const call of this.#underWay) call.abort();
    await Promise.resolve();
  }

  async notify(notices: readonly Notice[]): Promise<void> {
    // Its own: `stop` takes the other away while the call is under way, and the address must be known to be kept out of what is said.
    const url = this.#url;
    if (url === null) throw new CerebroError('unavailable', 'the webhook is not started');
    const body = this.#config.form === 'slack' ? { text: notices.map(line).join('\n') } : { notices };
    const abort = new AbortController();
    this.#underWay.add(abort);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.any([abort.signal, AbortSignal.timeout(this.#config.timeout * 1000)]),
      });
      await response.body?.cancel();
      if (!response.ok) throw new CerebroError('unavailable', `the webhook answered with status ${response.status}`);
    } catch (error) {
      if (error instanceof CerebroError) throw error;
      if (abort.signal.aborted)
        throw new CerebroError('unavailable', 'the call of the webhook was given up: the daemon stops');
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error);
      throw new CerebroError('unavailable', `the webhook does not answer: ${cause.replaceAll(url, 'its address')}`);
    } finally {
      this.#underWay.delete(abort);
    }
  }

  #address(): string {
    const { url, url_file: file, url_env: variable } = this.#config;
    if (url !== undefined) return url;
    const [text, where] =
      file === undefined ? [process.env[variable ?? ''], `the environment variable ${variable}`] : [read(file), file];
    if (text === undefined || !/^https?:/.test(text.trim()) || !URL.canParse(text.trim()))
      throw new CerebroError('invalid', `notify-webhook: ${where} does not hold the address of a webhook`);
    return text.trim();
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CerebroError('invalid', `notify-webhook: url_file: ${messageOf(error)}`);
  }
}

function line(notice: Notice): string {
  const sign = notice.resolved ? 'over' : notice.level === 'error' ? 'ERROR' : 'warning';
  // What Slack would take for a link or a mention is text here.
  const text = notice.sentence.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `[${sign}] ${text}`;
}
