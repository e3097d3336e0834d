import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';

/** What was measured under one name, in milliseconds. */
export interface Series {
  name: string;
  ms: readonly number[];
  /** Who it is compared with: the name of a series of the same run. */
  against?: string;
}

export interface Summary {
  name: string;
  count: number;
  minMs: number;
  medianMs: number;
  p95Ms: number;
  maxMs: number;
  against: string | null;
  /** This median by that of `against`; null where there is nothing to compare with. */
  ratio: number | null;
}

/** The value below which a share of the values lies (0..1), between two neighbours by linear interpolation. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

export function summarize(all: readonly Series[]): Summary[] {
  return all.map(({ name, ms, against }) => {
    const floor = all.find((series) => series.name === against);
    const medianMs = percentile(ms, 0.5);
    return {
      name,
      count: ms.length,
      minMs: rounded(percentile(ms, 0)),
      medianMs: rounded(medianMs),
      p95Ms: rounded(percentile(ms, 0.95)),
      maxMs: rounded(percentile(ms, 1)),
      against: floor?.name ?? null,
      ratio: floor ? rounded(medianMs / percentile(floor.ms, 0.5)) : null,
    };
  });
}

/**
 * Prints the table, then the same figures as JSON, or writes that to the file which `--json FILE` names.
 * `facts` is what a reader has to know to compare two runs: sizes, and what was left out.
 */
export function report(title: string, all: readonly Series[], facts: Record<string, unknown>): void {
  const series = summarize(all);
  const host = {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    // Who reads figures of a busy host has to know that it was one.
    load: loadavg().map((load) => Math.round(load * 10) / 10),
  };
  console.log(`\n${title} (load ${host.load.join(', ')} on ${host.cores} cores)\n`);
  console.log(table(series));
  const text = JSON.stringify({ title, at: new Date().toISOString(), host, facts, series }, null, 2);
  const file = jsonFile();
  if (file === undefined) console.log(`\n${text}`);
  else writeFileSync(file, `${text}\n`);
}

function jsonFile(): string | undefined {
  const at = process.argv.indexOf('--json');
  return at === -1 ? undefined : process.argv[at + 1];
}

function table(rows: readonly Summary[]): string {
  const head = ['', 'runs', 'median ms', 'p95 ms', 'max ms', 'ratio'];
  const cells = rows.map((row) => [
    row.name,
    String(row.count),
    row.medianMs.toFixed(2),
    row.p95Ms.toFixed(2),
    row.maxMs.toFixed(2),
    row.ratio === null ? '' : `${row.ratio.toFixed(2)} x ${row.against}`,
  ]);
  const lines = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const right = (column: number): boolean => column > 0 && column < head.length - 1;
  return lines
    .map((line) =>
      line
        .map((cell, column) => (right(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A microsecond is more than these clocks can be trusted for. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
