import { randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { type Answer, decode, type RecordType } from 'dns-packet';
import type { Clock } from '../../core/contracts/clock.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import { exchangeDatagrams, type Taken } from './datagram-exchange.ts';
import { MessageWriter, OPCODE, readHead } from './dns-message.ts';
import { exchangeStream } from './stream-exchange.ts';
import { signRequest, TsigCheck, type Verdict } from './tsig.ts';
import type { TsigKey } from './tsig-key.ts';

/** A request beyond this goes by TCP, whatever is set: without EDNS a server need take no more by UDP. */
const MAX_UDP_BYTES = 512;

export interface DnsServer {
  host: string;
  port: number;
  transport: 'udp' | 'tcp';
  timeoutMs: number;
  key: TsigKey;
}

/** What the server said. */
export interface DnsReply {
  rcode: number;
  /** Whether its signature was right; an unsigned reply is only ever a refusal. */
  signed: boolean;
  /** What the server finds wrong with our signature, e.g. BADKEY. */
  tsigError: string | null;
  /** The server's clock, in seconds since the epoch, where that is what it finds wrong. */
  serverTime: number | null;
  authoritative: boolean;
  answers: readonly Answer[];
  authorities: readonly Answer[];
}

/** Asks one server, every message signed, and believes nothing that is not. Throws `unavailable` where no answer comes. */
export class DnsClient {
  readonly #clock: Clock;
  readonly #server: DnsServer;
  readonly #stopping = new AbortController();

  constructor(clock: Clock, server: DnsServer) {
    this.#clock = clock;
    this.#server = server;
    // Each exchange listens for as long as it is under way, and there may be many.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Ends what is under way. */
  close(): void {
    this.#stopping.abort();
  }

  ask(name: string, type: RecordType): Promise<DnsReply> {
    return this.#send(new MessageWriter(randomInt(0x10000), OPCODE.QUERY, { name, type }), true);
  }

  /** The answer to an update is its code; whatever else a server repeats in it is not looked at. */
  update(message: MessageWriter): Promise<DnsReply> {
    return this.#send(message, false);
  }

  /** All records of a zone, each handed to `onRecord`; the reply has none. A refusal is a reply like any other. */
  async transfer(zone: string, onRecord: (record: Answer) => void): Promise<DnsReply> {
    const request = this.#sign(new MessageWriter(randomInt(0x10000), OPCODE.QUERY, { name: zone, type: 'AXFR' }));
    let ends = 0;
    return this.#within(
      exchangeStream(
        this.#clock,
        this.#server,
        request.message,
        this.#server.timeoutMs,
        this.#stopping.signal,
        (received) => {
          const reply = believed(this.#read(received, request, true));
          if (reply.rcode !== 0 || !reply.signed) return reply;
          for (const record of reply.answers) {
            if (record.type === 'SOA') ends += 1;
            onRecord(record);
          }
          // It begins and ends with the zone's SOA (RFC 5936, 2.2).
          if (ends < 2) return undefined;
          if (!request.check.complete) throw new Error('its transfer has no signature at its end');
          return { ...reply, answers: [] };
        },
      ),
    );
  }

  async #send(message: MessageWriter, readRecords: boolean): Promise<DnsReply> {
    const { transport, timeoutMs } = this.#server;
    const { signal } = this.#stopping;
    if (transport === 'udp' && message.length <= MAX_UDP_BYTES) {
      const request = this.#sign(message);
      const taken = await this.#within(
        exchangeDatagrams<DnsReply | 'cut'>(this.#server, {
          clock: this.#clock,
          message: request.message,
          timeoutMs,
          signal,
          take: (received) => {
            const read = this.#read(received, request, readRecords);
            return 'ignored' in read || !isCut(received) ? read : { answer: 'cut' };
          },
        }),
      );
      if (taken !== 'cut') return taken;
    }
    const request = this.#sign(message);
    return this.#within(
      exchangeStream(this.#clock, this.#server, request.message, timeoutMs, signal, (received) =>
        believed(this.#read(received, request, readRecords)),
      ),
    );
  }

  #sign(writer: MessageWriter): { message: Buffer; id: number; check: TsigCheck } {
    const plain = writer.bytes();
    const { message, mac } = signRequest(plain, this.#server.key, this.#clock.now());
    return { message, id: readHead(plain).id, check: new TsigCheck(this.#server.key, mac, () => this.#clock.now()) };
  }

  #read(received: Buffer, request: { id: number; check: TsigCheck }, readRecords: boolean): Taken<DnsReply> {
    try {
      const head = readHead(received);
      if (!head.isAnswer || head.id !== request.id) return { ignored: 'it answered something else' };
      const verdict = request.check.take(received);
      if (verdict.kind === 'bad') return { ignored: `its answer cannot be believed (${verdict.reason})` };
      if (verdict.kind === 'unsigned' && head.rcode === 0)
        return { ignored: 'its answer cannot be believed (it is not signed)' };
      return { answer: replyOf(head, verdict, readRecords) };
    } catch (error) {
      return { ignored: `its answer cannot be read (${messageOf(error)})` };
    }
  }

  async #within<T>(exchange: Promise<T>): Promise<T> {
    try {
      return await exchange;
    } catch (error) {
      const { host, port } = this.#server;
      const why = reasonOf(error);
      throw new CerebroError('unavailable', `no answer from the DNS server ${host} port ${port}: ${why}`, {
        cause: error,
      });
    }
  }
}

function replyOf(
  head: ReturnType<typeof readHead>,
  verdict: Exclude<Verdict, { kind: 'bad' }>,
  readRecords: boolean,
): DnsReply {
  const packet = readRecords && verdict.kind === 'signed' ? decode(verdict.body) : null;
  return {
    rcode: head.rcode,
    signed: verdict.kind === 'signed',
    tsigError: verdict.error,
    serverTime: verdict.kind === 'signed' ? verdict.serverTime : null,
    authoritative: head.authoritative,
    answers: packet?.answers ?? [],
    authorities: packet?.authorities ?? [],
  };
}

/** By TCP there is nobody else to wait for: what cannot be believed is the end of it. */
function believed(taken: Taken<DnsReply>): DnsReply {
  if ('ignored' in taken) throw new Error(taken.ignored);
  return taken.answer;
}

/** What the system's errors mean here. */
function reasonOf(error: unknown): string {
  const code = systemCode(error);
  if (code === 'ECONNREFUSED') return `nothing listens there (${code})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `its name has no address (${code})`;
  // The error for several addresses that all failed has no message.
  return messageOf(error) || (code ?? 'no connection');
}

function isCut(message: Buffer): boolean {
  return readHead(message).truncated;
}
