/** How a file asks for another: what a package answers may differ. */
export type ImportKind = 'import' | 'require';

/** Conditions that hold for every Node. */
const ALWAYS: ReadonlySet<string> = new Set(['node', 'node-addons', 'default']);
/** One that newer Nodes have and older ones have not: what stands behind it may be taken, too. */
const PERHAPS = 'module-sync';

/**
 * The files that a package's `exports` (or `imports`) names for a subpath (`.`, `./lib/x`, `#x`), as Node reads it: usually one, more where
 * it depends on the Node. They are relative to the package; a name without `./` is another package's.
 */
export function exportTargets(exports: unknown, subpath: string, kind: ImportKind): string[] {
  const table = isTable(exports) ? exports : { '.': exports };
  if (subpath in table && !subpath.includes('*')) return leaves(table[subpath], kind);
  const [best] = Object.keys(table)
    .map((key) => ({ key, star: starOf(key, subpath) }))
    .filter((each): each is { key: string; star: string } => each.star !== undefined)
    .sort((a, b) => b.key.indexOf('*') - a.key.indexOf('*'));
  return best ? leaves(table[best.key], kind).map((target) => target.replaceAll('*', best.star)) : [];
}

/** Whether its keys are subpaths, and not conditions. */
function isTable(exports: unknown): exports is Record<string, unknown> {
  return (
    typeof exports === 'object' &&
    exports !== null &&
    !Array.isArray(exports) &&
    Object.keys(exports).some((key) => key.startsWith('.') || key.startsWith('#'))
  );
}

/** What the star of a key stands for; undefined: the key does not match. */
function starOf(key: string, subpath: string): string | undefined {
  const at = key.indexOf('*');
  if (at < 0) return undefined;
  const [head, tail] = [key.slice(0, at), key.slice(at + 1)];
  const fits = subpath.length > head.length + tail.length && subpath.startsWith(head) && subpath.endsWith(tail);
  return fits ? subpath.slice(head.length, subpath.length - tail.length) : undefined;
}

/** In the order in which they stand, the first that holds counts. */
function leaves(value: unknown, kind: ImportKind): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap((each) => leaves(each, kind));
  if (typeof value !== 'object' || value === null) return [];
  const found: string[] = [];
  for (const [condition, inner] of Object.entries(value)) {
    if (condition === PERHAPS) found.push(...leaves(inner, kind));
    if (condition !== kind && !ALWAYS.has(condition)) continue;
    const here = leaves(inner, kind);
    if (here.length > 0 || inner === null) return [...found, ...here];
  }
  return found;
}
