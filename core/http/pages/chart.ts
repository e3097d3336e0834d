import type { History } from '../../model/history.ts';
import { amountText, byteUnit, type Unit } from './amount.ts';

/** The drawing's own coordinates; it is stretched to whatever room there is, so all text stands beside it and not in it. */
export const CHART_WIDTH = 240;
export const CHART_HEIGHT = 100;
/** Times along the axis. */
const X_LABELS = 5;
/** Tops of an axis, times a power of ten: half of each is a number that one likes to read, too. */
const NICE = [1, 2, 3, 4, 5, 6, 8, 10];

export interface ChartAsk {
  series: string;
  title: string;
  unit: Unit;
  /** Drawn as a line of its own; null: there is none. */
  limit?: number | null;
  /** What the axis reaches at least: a quiet machine's noise is not to look like a mountain range. */
  atLeast?: number;
}

/** A line over time, ready to be put into SVG (templates/charts.njk). */
export interface Chart {
  title: string;
  /** The last known value: "0.42 cores". */
  last: string;
  /** All of it in one sentence, for those who do not see it. */
  sentence: string;
  /** Whether anything at all is known. */
  known: boolean;
  line: string;
  area: string;
  /** The height of the limit; null: none. */
  limitY: number | null;
  limitText: string;
  /** From the top to the bottom. */
  yLabels: string[];
  /** From the left to the right, in UTC. */
  xLabels: { text: string; iso: string }[];
}

export function chartOf(history: History, ask: ChartAsk): Chart {
  const { title, unit, limit = null, atLeast = 0 } = ask;
  const values = history.series[ask.series] ?? [];
  const known = values.filter((value) => value !== null);
  const columns = columnsOf(values);
  const top = niceTop(Math.max(atLeast, limit ?? 0, ...known), unit);
  const y = (value: number): number => Math.max(0, round(CHART_HEIGHT * (1 - value / top)));
  const segments = segmentsOf(columns, y);
  return {
    title,
    last: amountText(known.at(-1), unit),
    sentence: sentenceOf(history, ask, known),
    known: known.length > 0,
    line: segments.map(lineOf).join(''),
    area: segments.map(areaOf).join(''),
    limitY: limit === null ? null : y(limit),
    limitText: limit === null ? '' : amountText(limit, unit),
    yLabels: [top, top / 2, 0].map((value) => amountText(value, unit)),
    xLabels: timesOf(history, values.length),
  };
}

/** Several points fall on one column of the drawing; the highest is shown, since peaks are what one looks for. */
function columnsOf(values: readonly (number | null)[]): (number | null)[] {
  const each = Math.max(1, values.length / CHART_WIDTH);
  return Array.from({ length: Math.min(values.length, CHART_WIDTH) }, (_, column) => {
    const points = values.slice(Math.floor(column * each), Math.floor((column + 1) * each));
    const known = points.filter((value) => value !== null);
    return known.length === 0 ? null : Math.max(...known);
  });
}

interface Point {
  x: number;
  y: number;
}

/** Runs of columns without a gap. */
function segmentsOf(columns: readonly (number | null)[], y: (value: number) => number): Point[][] {
  const segments: Point[][] = [];
  const step = columns.length > 1 ? CHART_WIDTH / (columns.length - 1) : 0;
  let open: Point[] | null = null;
  for (const [column, value] of columns.entries()) {
    if (value === null) {
      open = null;
      continue;
    }
    if (!open) {
      open = [];
      segments.push(open);
    }
    open.push({ x: round(column * step), y: y(value) });
  }
  return segments;
}

/** A lone point has no length; with round ends it is a dot all the same. */
function lineOf(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  return `M${first.x} ${first.y}${rest.length === 0 ? 'h0' : rest.map(({ x, y }) => `L${x} ${y}`).join('')}`;
}

function areaOf(points: readonly Point[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last || first === last) return '';
  return `M${first.x} ${CHART_HEIGHT}${points.map(({ x, y }) => `L${x} ${y}`).join('')}L${last.x} ${CHART_HEIGHT}Z`;
}

/** The top of the axis: a round number of the unit that it is read in. */
function niceTop(highest: number, unit: Unit): number {
  if (unit === 'share') return highest > 0.5 ? 1 : niceNumber(Math.max(0.01, highest));
  if (unit === 'count') return Math.max(2, niceNumber(highest));
  if (unit === 'cores') return niceNumber(Math.max(0.01, highest));
  const { factor } = byteUnit(Math.max(STEP_BYTES, highest));
  const top = niceNumber(Math.max(STEP_BYTES, highest) / factor);
  return top * factor;
}

const STEP_BYTES = 1024;

function niceNumber(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const top = NICE.find((step) => step * power >= value * 0.999) ?? 10;
  return Number((top * power).toPrecision(3));
}

function timesOf({ from, stepSeconds, span }: History, points: number): Chart['xLabels'] {
  const start = Date.parse(from);
  return Array.from({ length: X_LABELS }, (_, i) => {
    const at = new Date(start + (i / (X_LABELS - 1)) * Math.max(0, points - 1) * stepSeconds * 1000);
    const iso = at.toISOString();
    return { text: iso.slice(11, span === 'hour' ? 16 : 13) + (span === 'hour' ? '' : ' h'), iso };
  });
}

function sentenceOf({ span }: History, { title, unit, limit }: ChartAsk, known: readonly number[]): string {
  const about = `${title} over the last ${span}`;
  const last = known.at(-1);
  if (last === undefined) return `${about}: nothing is known`;
  const average = known.reduce((sum, value) => sum + value, 0) / known.length;
  const text = (value: number): string => amountText(value, unit);
  const bound = limit === null || limit === undefined ? '' : `; the limit is ${text(limit)}`;
  return `${about}: between ${text(Math.min(...known))} and ${text(Math.max(...known))}, ${text(average)} on average, ${text(last)} last${bound}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
