/**
 * The readers of bench/dashboards.ts, in a process of their own so that they take no time from the daemon's: open dashboards, each of
 * which hears of changes and loads its page anew as templates/assets/app.js does, and one reader who clicks.
 */
import { request } from 'node:http';

interface Order {
  base: string;
  cookie: string;
  /** What the open dashboards look at, one each. */
  open: string[];
  /** What is clicked, in turn. */
  clicked: string[];
  clicks: number;
}

export interface Click {
  path: string;
  /** Milliseconds. */
  firstByte: number;
  lastByte: number;
}

export interface Outcome {
  clicks: Click[];
  /** How often an open dashboard loaded its page, all together. */
  refreshes: number;
}

/** As app.js has it. */
const PAUSE_MS = 1000;
const BETWEEN_CLICKS_MS = 60;

process.once('message', (order: Order) => {
  run(order).then(
    (outcome) => process.send?.(outcome, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});

async function run({ base, cookie, open, clicked, clicks }: Order): Promise<Outcome> {
  const stop = new AbortController();
  const outcome: Outcome = { clicks: [], refreshes: 0 };
  const dashboards = open.map((path) => look(base, cookie, path, stop.signal, () => (outcome.refreshes += 1)));
  await pause(3000);
  for (let i = 0; i < clicks; i++) {
    const path = clicked[i % clicked.length] ?? '/';
    outcome.clicks.push({ path, ...(await get(base + path, cookie)) });
    await pause(BETWEEN_CLICKS_MS);
  }
  stop.abort();
  await Promise.all(dashboards);
  return outcome;
}

/** One open page. */
async function look(base: string, cookie: string, path: string, signal: AbortSignal, done: () => void): Promise<void> {
  let changed = true;
  const live = request(`${base}/live`, { headers: { cookie }, signal }, (answer) => {
    answer.setEncoding('utf8');
    answer.on('data', (text: string) => {
      if (text.includes('event: change')) changed = true;
    });
    answer.on('error', () => undefined);
  });
  live.on('error', () => undefined);
  live.end();
  while (!signal.aborted) {
    if (changed) {
      changed = false;
      await get(base + path, cookie);
      done();
      await pause(PAUSE_MS);
    } else await pause(20);
  }
}

function get(url: string, cookie: string): Promise<{ firstByte: number; lastByte: number }> {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const asked = request(url, { headers: { cookie, accept: 'text/html', 'accept-encoding': 'gzip' } }, (answer) => {
      const firstByte = performance.now() - from;
      if (answer.statusCode !== 200) reject(new Error(`${url}: ${answer.statusCode}`));
      answer.on('data', () => undefined);
      answer.on('end', () => resolve({ firstByte, lastByte: performance.now() - from }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
