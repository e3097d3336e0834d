// One copy's lines as they are written: server-sent events over fetch, since EventSource cannot say where it left off.

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;
/** What was asked for wrongly, or is not for this reader, is so in a second too. What is not there may come: a machine hears of a copy later than the page. */
const FINAL = [400, 401, 403, 409];

/** Calls `onLine({ run, stream, line })` and `onState('open' | 'lost' | 'over', sentence)` until it is stopped; goes on where it was. */
export class LogStream {
  #address;
  #onLine;
  #onState;
  #cursor = '';
  #abort = null;
  #timer = null;
  #retryMs = FIRST_RETRY_MS;

  constructor(address, { onLine, onState }) {
    this.#address = address;
    this.#onLine = onLine;
    this.#onState = onState;
  }

  start() {
    if (this.#abort || this.#timer) return;
    void this.#run();
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #run() {
    const abort = new AbortController();
    this.#abort = abort;
    this.#timer = null;
    let sentence = 'the connection ended';
    try {
      const headers = { accept: 'text/event-stream', ...(this.#cursor && { 'last-event-id': this.#cursor }) };
      const response = await fetch(this.#address, { headers, signal: abort.signal });
      if (!response.ok) {
        sentence = await sentenceOf(response);
        if (FINAL.includes(response.status)) {
          this.#onState('over', sentence);
          return;
        }
        throw new Error(sentence);
      }
      this.#onState('open', '');
      this.#retryMs = FIRST_RETRY_MS;
      await this.#read(response.body.getReader());
    } catch {
      // Told below, with the next attempt.
    }
    if (abort.signal.aborted) return;
    this.#abort = null;
    this.#onState('lost', sentence);
    this.#timer = setTimeout(() => void this.#run(), this.#retryMs);
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const messages = (rest + decoder.decode(value, { stream: true })).split('\n\n');
      rest = messages.pop();
      for (const message of messages) this.#take(message);
    }
  }

  #take(message) {
    let data = '';
    for (const line of message.split('\n')) {
      if (line.startsWith('id: ')) this.#cursor = line.slice(4);
      else if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (data !== '') this.#onLine(JSON.parse(data));
  }
}

async function sentenceOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `status ${response.status}`;
  }
}
