export interface Row {
  machines: number;
  path: string;
  /** Milliseconds. */
  median: number;
  p95: number;
  bytes: number;
  compressed: number;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ machines, path, median, p95, bytes, compressed }) =>
    [
      String(machines).padStart(8),
      path.padEnd(22),
      milliseconds(median).padStart(9),
      milliseconds(p95).padStart(9),
      (bytes / 1024).toFixed(0).padStart(6),
      (compressed / 1024).toFixed(1).padStart(8),
    ].join('  '),
  );
  return ['machines  page                    median ms    p95 ms      KB  KB gzip', ...lines].join('\n');
}
