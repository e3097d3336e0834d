export interface DiffLine {
  kind: 'same' | 'removed' | 'added' | 'gap';
  /** Of a gap: what is left out. */
  text: string;
}

/** Beyond so many lines a side is cut, which is said: the table of the comparison grows with the product of both. */
const MOST_LINES = 2000;
/** Lines that are alike, shown round each difference. */
const AROUND = 3;

/** What has to be done to `before` to get `after`, line by line, with what is alike left out beyond a few lines. Empty: they are equal. */
export function lineDiff(before: string, after: string): DiffLine[] {
  if (before === after) return [];
  const [a, b] = [before.split('\n'), after.split('\n')];
  const lines = withGaps(compare(a.slice(0, MOST_LINES), b.slice(0, MOST_LINES)));
  if (Math.max(a.length, b.length) > MOST_LINES)
    lines.push({ kind: 'gap', text: `what comes after line ${MOST_LINES} is not compared` });
  return lines;
}

/** By the longest common subsequence. */
function compare(a: readonly string[], b: readonly string[]): DiffLine[] {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    if (left !== undefined && left === right) {
      lines.push({ kind: 'same', text: left });
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: 'removed', text: left });
      i += 1;
    } else {
      lines.push({ kind: 'added', text: right ?? '' });
      j += 1;
    }
  }
  return lines;
}

function withGaps(lines: readonly DiffLine[]): DiffLine[] {
  const changed = lines.flatMap(({ kind }, index) => (kind === 'same' ? [] : [index]));
  const near = new Set(
    changed.flatMap((index) => Array.from({ length: 2 * AROUND + 1 }, (_, k) => index - AROUND + k)),
  );
  const shown: DiffLine[] = [];
  let left = 0;
  const gap = (): void => {
    if (left > 0) shown.push({ kind: 'gap', text: `${left} ${left === 1 ? 'line' : 'lines'} alike` });
    left = 0;
  };
  for (const [index, line] of lines.entries()) {
    if (!near.has(index)) {
      left += 1;
      continue;
    }
    gap();
    shown.push(line);
  }
  gap();
  return shown;
}
