import { amountText, type Unit } from './amount.ts';

const MB = 1024 * 1024;

/** What templates may do to a value. All of them give text, which Nunjucks escapes. */
export const pageFilters: Record<string, (value: never, ...rest: never[]) => string> = {
  /** "3 s", "5 min", "2 h", "4 d" since an ISO time or milliseconds. */
  ago: (value: string | number, now: number) =>
    span((now - (typeof value === 'number' ? value : Date.parse(value))) / 1000),
  /** "3 s" from one ISO time to another. */
  took: (from: string, until: string) => span((Date.parse(until) - Date.parse(from)) / 1000),
  /** "14:05:09" of an ISO time, in UTC. */
  clock: (value: string) => value.slice(11, 19),
  iso: (ms: number) => new Date(ms).toISOString(),
  mb: (bytes: number) => String(Math.round(bytes / MB)),
  fixed: (value: number, digits: number) => value.toFixed(digits),
  percent: (part: number, whole: number) => (whole > 0 ? String(Math.min(100, Math.round((part / whole) * 100))) : '0'),
  /** "412 MB", "0.5 cores": see amount.ts for the units. */
  amount: (value: number | null, unit: Unit) => amountText(value, unit),
  path: (value: string) => encodeURIComponent(value),
};

function span(seconds: number): string {
  if (seconds < 1) return 'now';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
