/** A text as Route 53 has it: quoted pieces of 255 bytes at most, with the bytes that are not plain in octal. */
export function quoteText(text: string): string {
  const bytes = Buffer.from(text);
  const pieces: string[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 255)
    pieces.push(`"${[...bytes.subarray(at, at + 255)].map(escapeByte).join('')}"`);
  return pieces.join(' ');
}

/** The text of a value that Route 53 gives; one that is not quoted stands for itself. */
export function unquoteText(value: string): string {
  const pieces = [...value.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map((match) => match[1] ?? '');
  return bytesOf(pieces.length === 0 ? value : pieces.join('')).toString('utf8');
}

/** A name as Cerebro has it: in lower case, without the final dot, and `*` not as `\052`. */
export function plainName(name: string): string {
  return bytesOf(name).toString('utf8').toLowerCase().replace(/\.$/, '');
}

/** By what Route 53 sorts: the labels from behind, with the final dot, as ASCII. All that is below a name begins with its key. */
export function sortKey(name: string): string {
  return `${name.split('.').reverse().join('.')}.`;
}

function escapeByte(byte: number): string {
  if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
}

function bytesOf(escaped: string): Buffer {
  const parts = escaped.match(/\\[0-7]{3}|\\.|[^\\]+/gs) ?? [];
  return Buffer.concat(
    parts.map((part) => {
      if (!part.startsWith('\\')) return Buffer.from(part);
      return part.length === 4 ? Buffer.from([Number.parseInt(part.slice(1), 8)]) : Buffer.from(part.slice(1));
    }),
  );
}
