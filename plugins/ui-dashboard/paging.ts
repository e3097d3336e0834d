/** One page of a list, and the addresses of its neighbours. Templates show it with `pager` in lists.njk. */
export interface PageOf<T> {
  items: T[];
  /** Of all pages together. */
  total: number;
  /** The number of the first item on the page, from 1; 0 on an empty one. */
  first: number;
  last: number;
  previous: string | null;
  next: string | null;
}

/** The page that `?page=` asks for; one that is out of range is the nearest there is, since lists shrink under open pages. */
export function pageOf<T>(all: readonly T[], query: URLSearchParams, path: string, size: number): PageOf<T> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const asked = Number(query.get('page') ?? '1');
  const page = Number.isInteger(asked) ? Math.min(pages, Math.max(1, asked)) : 1;
  const items = all.slice((page - 1) * size, page * size);
  const address = (number: number): string => {
    const other = new URLSearchParams(query);
    other.delete('notice');
    if (number === 1) other.delete('page');
    else other.set('page', String(number));
    const text = other.toString();
    return text === '' ? path : `${path}?${text}`;
  };
  const first = items.length === 0 ? 0 : (page - 1) * size + 1;
  return {
    items,
    total: all.length,
    first,
    last: first === 0 ? 0 : first + items.length - 1,
    previous: page > 1 ? address(page - 1) : null,
    next: page < pages ? address(page + 1) : null,
  };
}

/** What a filter asks for, without the blanks round it; '' where it asks for nothing. */
export function asked(query: URLSearchParams, key: string): string {
  return query.get(key)?.trim() ?? '';
}

/** Whether one of the texts has `wanted` in it, whatever the case. */
export function mentions(wanted: string, texts: readonly (string | null)[]): boolean {
  if (wanted === '') return true;
  const small = wanted.toLowerCase();
  return texts.some((text) => text?.toLowerCase().includes(small) ?? false);
}
