import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Clock } from '../../core/contracts/clock.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import { answerOfJob, type DynAnswer, readDynAnswer } from './dyn-answer.ts';
import type { Config } from './schema.ts';

/** No more than one look at a job or a task in this time, say the API's pages. */
const POLL_MS = 5000;
/** For a zone that is busy: so long at first, then twice as long each time, up to the last. */
const BUSY_MS = { first: 1000, last: 30_000 } as const;
/** The limit is on requests in a minute, for all sessions of the account. */
const RATE_PAUSE_MS = 60_000;
/** Repeated bad logins get an account blocked, so a password that was refused is not tried again for so long. */
const REFUSED_MS = 30 * 60_000;
const MAX_WAITING = 100;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
/** Makes a request; null: what it is about is not there. */
export type Call = (method: Method, path: string, body?: object) => Promise<unknown>;

/** `wait` is over after so many milliseconds; it throws `unavailable` when the batch has no time left for it. */
type Work<T> = (call: Call, wait: (ms: number) => Promise<void>) => Promise<T>;

const loginData = z.object({ token: z.string().min(1) });

/** The session ended under a request, and what was not published ended with it. */
class SessionOver extends Error {}

/** One session of the API: what it does, it does one after another, since a session can have one job and one set of changes. */
export class DynSession {
  readonly #clock: Clock;
  readonly #config: Config;
  readonly #agent: Agent;
  readonly #stopping = new AbortController();
  #token: string | null = null;
  #refused: { password: string; until: number } | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(clock: Clock, config: Config) {
    this.#clock = clock;
    this.#config = config;
    this.#agent = new Agent({ maxResponseSize: MAX_ANSWER_BYTES, connections: 1 });
  }

  /**
   * Runs `work` when its turn comes, logged in, within the deadline of a batch. When the session ends in the middle, `work` runs
   * once more from its beginning, for nothing of it is left.
   */
  async run<T>(work: Work<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING)
      throw new CerebroError('unavailable', `${MAX_WAITING} requests wait for Dyn already; this one was not begun`);
    this.#waiting += 1;
    const until = this.#clock.monotonic() + this.#config.deadline * 1000;
    const turn = this.#last.then(
      () => this.#turn(work, until),
      () => this.#turn(work, until),
    );
    this.#last = turn;
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Ends what is under way, and the session. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('Cerebro is stopping'));
    await this.#last.catch(() => undefined);
    // A session that is not ended ends by itself: nothing hangs on this.
    if (this.#token !== null)
      await this.#send('DELETE', 'Session/', {}, AbortSignal.timeout(2000)).catch(() => undefined);
    this.#token = null;
    await this.#agent.destroy();
  }

  async #turn<T>(work: Work<T>, until: number): Promise<T> {
    if (this.#clock.monotonic() > until)
      throw new CerebroError('unavailable', `Dyn was busy with other batches for ${this.#config.deadline} s`);
    const wait = (ms: number): Promise<void> => this.#wait(ms, until);
    for (let lost = false; ; lost = true) {
      if (this.#token === null) this.#token = await this.#login(until);
      try {
        return await work((method, path, body) => this.#call(method, path, body, until), wait);
      } catch (error) {
        if (!(error instanceof SessionOver)) throw error;
        this.#token = null;
        if (lost)
          throw new CerebroError('unavailable', `Dyn ends each session at once: ${error.message}`, { cause: error });
      }
    }
  }

  async #login(until: number): Promise<string> {
    const { customer_name, user_name } = this.#config;
    const password = this.#password();
    const now = this.#clock.monotonic();
    const who = `customer "${customer_name}", user "${user_name}"`;
    if (this.#refused && this.#refused.password === password && now < this.#refused.until) {
      const minutes = Math.ceil((this.#refused.until - now) / 60_000);
      throw new CerebroError(
        'forbidden',
        `Dyn refused the password of ${who}, which is not tried again for ${minutes} min; a new one is, at once`,
      );
    }
    const answer = await this.#settled('POST', 'Session/', { customer_name, user_name, password }, until);
    if (answer.kind === 'ok') {
      this.#refused = null;
      const data = loginData.safeParse(answer.data);
      if (data.success) return data.data.token;
      throw new CerebroError('unavailable', `Dyn logged in ${who} and gave no token`);
    }
    if (answer.kind !== 'session-over' && answer.kind !== 'denied' && answer.kind !== 'invalid')
      throw new CerebroError(
        'unavailable',
        `Dyn did not log in ${who}: ${answer.kind === 'job' ? 'no end' : answer.info}`,
      );
    this.#refused = { password, until: now + REFUSED_MS };
    throw new CerebroError(
      'forbidden',
      `Dyn refuses ${who} or the password: ${answer.info}; put them right where plugins.json says`,
    );
  }

  #password(): string {
    const { password_file: file, password_env: variable } = this.#config;
    let text: string | undefined;
    try {
      text = file === undefined ? process.env[variable ?? ''] : readFileSync(file, 'utf8');
    } catch (error) {
      throw new CerebroError('invalid', `the file with Dyn's password cannot be read: ${messageOf(error)}`);
    }
    const password = text?.replace(/\r?\n$/, '');
    if (!password)
      throw new CerebroError(
        'invalid',
        `there is no password for Dyn in ${file ?? `the environment variable ${variable}`}`,
      );
    return password;
  }

  async #call(method: Method, path: string, body: object | undefined, until: number): Promise<unknown> {
    const answer = await this.#settled(method, path, body, until);
    const what = `${method} ${path}`;
    switch (answer.kind) {
      case 'ok':
        return answer.data;
      case 'absent':
        return null;
      case 'session-over':
        throw new SessionOver(answer.info);
      case 'denied':
        throw new CerebroError(
          'forbidden',
          `Dyn does not let user "${this.#config.user_name}" do ${what}: ${answer.info}`,
        );
      case 'invalid':
        throw new CerebroError('invalid', `Dyn does not take ${what}: ${answer.info}`);
      default:
        throw new CerebroError(
          'unavailable',
          `Dyn failed at ${what}: ${answer.kind === 'job' ? 'no end' : answer.info}`,
        );
    }
  }

  /** The answer, after all the waiting that the API asks for. Throws `unavailable` when that is longer than the deadline. */
  async #settled(method: Method, path: string, body: object | undefined, until: number): Promise<DynAnswer> {
    let pauseMs: number = BUSY_MS.first;
    let answer = await this.#send(method, path, body);
    for (;;) {
      if (answer.kind === 'job') {
        // The request is under way there: it is asked for, and never made again.
        await this.#wait(POLL_MS, until);
        answer = answerOfJob(await this.#sendPatiently('GET', answer.path, until));
      } else if (answer.kind === 'busy' || answer.kind === 'rate-limit') {
        await this.#wait(answer.kind === 'busy' ? pauseMs : RATE_PAUSE_MS, until, answer.info);
        pauseMs = Math.min(pauseMs * 2, BUSY_MS.last);
        answer = await this.#send(method, path, body);
      } else return answer;
    }
  }

  /** For the look at a job, which must not be taken for the job's own trouble. */
  async #sendPatiently(method: Method, path: string, until: number): Promise<DynAnswer> {
    for (;;) {
      const answer = await this.#send(method, path, undefined);
      if (answer.kind !== 'rate-limit') return answer;
      await this.#wait(RATE_PAUSE_MS, until, answer.info);
    }
  }

  async #send(method: Method, path: string, body: object | undefined, given?: AbortSignal): Promise<DynAnswer> {
    const url = new URL(path, this.#config.url);
    const signal = given ?? AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(this.#config.timeout * 1000)]);
    try {
      const response = await request(url, {
        method,
        dispatcher: this.#agent,
        signal,
        // Every request has the type, also one without a body: the API asks for it.
        headers: { 'content-type': 'application/json', ...(this.#token === null ? {} : { 'auth-token': this.#token }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const { location } = response.headers;
      return readDynAnswer(
        response.statusCode,
        typeof location === 'string' ? location : undefined,
        await response.body.text(),
      );
    } catch (error) {
      const why = this.#stopping.signal.aborted ? 'Cerebro is stopping' : messageOf(error) || systemCode(error);
      throw new CerebroError('unavailable', `no answer from Dyn at ${url.host}: ${why}`, { cause: error });
    }
  }

  async #wait(ms: number, until: number, why = 'it takes its time'): Promise<void> {
    const { signal } = this.#stopping;
    if (this.#clock.monotonic() + ms > until)
      throw new CerebroError('unavailable', `Dyn was not done within ${this.#config.deadline} s: ${why}`);
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        timer.cancel();
        reject(new CerebroError('unavailable', 'Cerebro is stopping'));
      };
      const timer = this.#clock.timer(ms, () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }
}
