const MAX_CHARACTERS = 256 * 1024 * 1024;

/** The lines of a stream of UTF-8, without their ends. Throws for a line of more than 256 million characters. */
export async function* textLines(body: AsyncIterable<unknown>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    const text = decoder.decode(chunk as Uint8Array, { stream: true });
    let from = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      parts.push(text.slice(from, end));
      const line = parts.join('');
      parts = [];
      size = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
    parts.push(text.slice(from));
    size += text.length - from;
    if (size > MAX_CHARACTERS) throw new Error('etcd sent a line that has no end');
  }
}
