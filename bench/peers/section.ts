import { percentile } from '../bench-report.ts';

export interface Column {
  /** The name of the value in the JSON. */
  key: string;
  head: string;
  /** Behind the point. */
  digits?: number;
  suffix?: string;
}

export interface Row {
  name: string;
  values: Record<string, number | null>;
  /** What stands in place of the values: why there are none. */
  note?: string;
}

/** One table, and what a reader has to know of it. */
export interface Section {
  title: string;
  columns: readonly Column[];
  rows: readonly Row[];
  about: readonly string[];
}

export const NOT_INSTALLED = 'not installed';

export function withoutValues(name: string, note: string): Row {
  return { name, values: {}, note };
}

/** Puts the quotient of each row's value by that of the row called `base` into the rows, under `into`. */
export function withRatios(rows: readonly Row[], value: string, base: string, into: string): Row[] {
  const divisor = rows.find(({ name }) => name === base)?.values[value] ?? null;
  return rows.map((row) => {
    const dividend = row.values[value] ?? null;
    const ratio = dividend === null || divisor === null || divisor === 0 ? null : dividend / divisor;
    return { ...row, values: { ...row.values, [into]: ratio } };
  });
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function p95(values: readonly number[]): number {
  return percentile(values, 0.95);
}

export function textOf({ title, columns, rows, about }: Section): string {
  const cells = [['', ...columns.map(({ head }) => head)], ...rows.map((row) => cellsOf(row, columns))];
  const widths = ['', ...columns].map((_, column) => Math.max(...cells.map((line) => cellWidth(line, column))));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => padded(cell, column, widths))
      .join('  ')
      .trimEnd(),
  );
  return `\n${title}\n\n${lines.join('\n')}\n\n${about.map((line) => `- ${line}`).join('\n')}`;
}

function cellsOf(row: Row, columns: readonly Column[]): string[] {
  if (row.note !== undefined) return [row.name, row.note];
  return [row.name, ...columns.map((column) => cellOf(row.values[column.key] ?? null, column))];
}

function cellOf(value: number | null, { digits = 0, suffix = '' }: Column): string {
  return value === null ? '' : `${value.toFixed(digits)}${suffix}`;
}

/** A note is as wide as it likes: it is the last of its line. */
function cellWidth(line: readonly string[], column: number): number {
  const isNote = line.length === 2 && column === 1;
  return isNote ? 0 : (line[column] ?? '').length;
}

function padded(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0;
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
