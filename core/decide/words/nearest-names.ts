/** The known names most like `name`, nearest first: what a person may have meant. At most three, none that is far off. */
export function nearestNames(name: string, known: Iterable<string>): string[] {
  const wanted = name.toLowerCase();
  const allowed = Math.max(2, Math.floor(name.length / 2));
  return [...known]
    .map((candidate) => ({ candidate, distance: likeness(wanted, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** "; did you mean a, b or c?", or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = nearestNames(name, known).map((candidate) => `"${candidate}"`);
  if (names.length === 0) return '';
  const last = names.pop();
  return `; did you mean ${names.length > 0 ? `${names.join(', ')} or ${last}` : last}?`;
}

/** The least of: the whole name, its beginning, any of its words. A part counts one more than the whole. */
function likeness(a: string, b: string): number {
  const parts = [b.slice(0, a.length), ...b.split(/[^\p{L}\p{N}]+/u)].filter((part) => part.length > 1);
  const longer = a.startsWith(b) && b.length > 1 ? 1 : Number.POSITIVE_INFINITY;
  return Math.min(editDistance(a, b), longer, ...parts.map((part) => editDistance(a, part) + 1));
}

/** Levenshtein's distance, two rows at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replace, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
