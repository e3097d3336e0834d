import { CronTime } from 'cron';
import { z } from 'zod';

/** The names that cron has for usual times. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);
const NAMES = '@hourly, @daily, @weekly, @monthly, @yearly';
/** A clock is never set back or forth by more than this, and an expression that has no time in this long (29 February) has none. */
const SEARCHED = 2000;
/** Expressions of which something is remembered. */
const EXPRESSIONS = 10_000;
/** The latest instant that a date can hold (ms since the epoch). */
const LAST_DATE = 8.64e15;

const cronExpression = z.string().superRefine((text, issue) => {
  const problem = cronProblem(text);
  if (problem !== null) issue.addIssue({ code: 'custom', message: problem });
});

const timeZone = z
  .string()
  .refine(isTimeZone, 'expected a time zone of the IANA list, like Europe/Berlin or UTC')
  .default('UTC');

const full = z.strictObject({
  cron: z
    .union([cronExpression, z.array(cronExpression).min(1).max(100)])
    .transform((cron) => (typeof cron === 'string' ? [cron] : cron)),
  time_zone: timeZone,
  /** What happens when a run is due while one goes on: nothing, another beside it, or another instead of it. */
  overlap: z.enum(['skip', 'allow', 'replace']).default('skip'),
});

/** `schedule` of a job: a cron expression, a list of them, or these with their time zone. Parsed into the last form. */
export const schedule = z.preprocess(
  (value) => (typeof value === 'string' || Array.isArray(value) ? { cron: value } : value),
  full,
);
export type Schedule = z.infer<typeof schedule>;

/** What is wrong with an expression, or null, as it was found before: records are read again with every change, and cron takes long. */
const judged = new Map<string, string | null>();

function cronProblem(text: string): string | null {
  const known = judged.get(text);
  if (known !== undefined) return known;
  const problem = findProblem(text);
  if (judged.size >= EXPRESSIONS) judged.clear();
  judged.set(text, problem);
  return problem;
}

function findProblem(text: string): string | null {
  const expression = NAMED.get(text) ?? text.trim();
  if (expression.startsWith('@')) return `"${text}" is no name that cron knows: ${NAMES}`;
  const fields = expression.split(/\s+/).length;
  if (fields !== 5) return `expected five fields (minute hour day month weekday), not ${fields}, or one of ${NAMES}`;
  try {
    new CronTime(expression, 'UTC').getNextDateFrom(new Date(0), 'UTC');
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return /No execution date/.test(reason) ? 'no day is ever like that' : `is no cron expression: ${reason}`;
  }
}

function isTimeZone(name: string): boolean {
  try {
    formatIn(name);
    return true;
  } catch {
    return false; // that is what was asked
  }
}

/** The first time of a schedule after `after` (both ms since the epoch); null: there is none, or no date is that late. */
export function nextTime(schedule: Schedule, after: number): number | null {
  if (after >= LAST_DATE) return null;
  let first: number | null = null;
  for (const cron of schedule.cron) {
    const time = knownNext(cron, schedule.time_zone, after);
    if (time !== null && (first === null || time < first)) first = time;
  }
  return first;
}

/** The last time of a schedule in (after, until]; null: none. However many came due meanwhile, the answer is cheap. */
export function lastTime(schedule: Schedule, after: number, until: number): number | null {
  if (after >= until) return null;
  let span = 60_000;
  for (;;) {
    const from = Math.max(after, until - span);
    let last: number | null = null;
    for (let time = nextTime(schedule, from); time !== null && time <= until; time = nextTime(schedule, time))
      last = time;
    if (last !== null || from <= after) return last;
    span *= 8;
  }
}

/** Stretches without a time of an expression, ended by its next one: plans ask the same again and again, and cron takes long to answer. */
const stretches = new Map<string, { from: number; next: number }[]>();
const STRETCHES = 4;

function knownNext(cron: string, zone: string, after: number): number | null {
  const key = `${zone} ${cron}`;
  const known = stretches.get(key) ?? [];
  const stretch = known.find(({ from, next }) => from <= after && after < next);
  if (stretch) return stretch.next;
  const next = nextOfOne(cron, zone, after);
  if (next === null) return null;
  if (!stretches.has(key) && stretches.size >= EXPRESSIONS) stretches.clear();
  stretches.set(key, [{ from: after, next }, ...known.slice(0, STRETCHES - 1)]);
  return next;
}

/**
 * As Vixie's cron does it: a time that the clock skips (spring) is taken right after the jump, one that comes twice (autumn) is taken
 * once; but what runs every so many minutes or hours follows the clock as it goes. The cron package is asked for wall times only:
 * its own handling of zones is off by half an hour for `30 2` when clocks go back.
 */
function nextOfOne(cron: string, zone: string, after: number): number | null {
  const expression = NAMED.get(cron) ?? cron.trim();
  const times = new CronTime(expression, 'UTC');
  const [minute = '', hour = ''] = expression.split(/\s+/);
  const follows = minute.startsWith('*') || hour.startsWith('*');
  let wall = wallOf(after, zone);
  let found: number | null = null;
  for (let i = 0; i < SEARCHED && found === null; i++) {
    const next = wallAfter(times, wall);
    if (next === null) return null;
    wall = next;
    const [first, second] = instantsOf(wall, zone);
    if (first === undefined) found = follows ? null : after < endOfGap(wall, zone) ? endOfGap(wall, zone) : null;
    else if (first > after) found = first;
    else if (follows && second !== undefined && second > after) found = second;
  }
  if (found === null || !follows) return found;
  return Math.min(found, inSecondPass(times, zone, after, found) ?? found);
}

/** Where the clock went back between two instants: the first time of the hour that comes again. */
function inSecondPass(times: CronTime, zone: string, after: number, found: number): number | null {
  if (offsetOf(found, zone) >= offsetOf(after, zone)) return null;
  let [low, high] = [after, found];
  const before = offsetOf(low, zone);
  while (high - low > 1000) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle, zone) === before) low = middle;
    else high = middle;
  }
  const turn = Math.floor(high / 60_000) * 60_000;
  const wall = wallAfter(times, wallOf(turn, zone) - 1000);
  if (wall === null) return null;
  const candidates = instantsOf(wall, zone).filter((instant) => instant >= turn && instant > after);
  return candidates[0] ?? null;
}

function wallAfter(times: CronTime, wall: number): number | null {
  try {
    return times.getNextDateFrom(new Date(wall), 'UTC').toMillis();
  } catch {
    return null; // the package gives up after eight years
  }
}

/** The instants at which clocks of a zone show a wall time: usually one; none in spring's gap, two in autumn. */
function instantsOf(wall: number, zone: string): number[] {
  const day = 86_400_000;
  const offsets = new Set([offsetOf(wall - day, zone), offsetOf(wall + day, zone)]);
  return [...offsets]
    .map((offset) => wall - offset)
    .filter((instant) => wallOf(instant, zone) === wall)
    .sort((a, b) => a - b);
}

/** The first instant after a gap of the clock that a wall time falls into. */
function endOfGap(wall: number, zone: string): number {
  const day = 86_400_000;
  let [low, high] = [wall - day, wall + day];
  const before = offsetOf(low, zone);
  while (high - low > 1000) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle, zone) === before) low = middle;
    else high = middle;
  }
  return Math.floor(high / 60_000) * 60_000;
}

function wallOf(instant: number, zone: string): number {
  return instant + offsetOf(instant, zone);
}

/** There are some hundreds of zones, and only what is one stays here. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws a RangeError for what is no time zone. */
function formatIn(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(zone, format);
  return format;
}

/** What clocks of a zone are ahead of UTC, in ms. */
function offsetOf(instant: number, zone: string): number {
  if (zone === 'UTC') return 0;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatIn(zone).formatToParts(instant)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000;
}
