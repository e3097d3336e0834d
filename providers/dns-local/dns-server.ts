import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { decode } from 'dns-packet';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import { answerGarbage, answerQuery } from './answer-query.ts';
import type { ZoneTable } from './zone-table.ts';

/** A header without a question: anything shorter has not even an id to answer with. */
const HEADER = 12;
const RESPONSE_BIT = 0x80;
const MAX_CONNECTIONS = 64;
const IDLE_MS = 10_000;
/** Bytes of answers that one connection may leave unread. */
const MOST_WAITING = 1024 * 1024;
/** With port 0, UDP gets a free one that TCP may find taken: so often it is tried again. */
const TRIES = 20;

/** Answers by UDP and TCP on one port. */
export class DnsServer {
  readonly #table: ZoneTable;
  readonly #logger: Logger;
  readonly #connections = new Set<Socket>();
  #udp: DatagramSocket | null = null;
  #tcp: Server | null = null;
  #port = 0;

  constructor(table: ZoneTable, logger: Logger) {
    this.#table = table;
    this.#logger = logger;
  }

  /** 0: it does not listen. */
  get port(): number {
    return this.#port;
  }

  /** Throws `conflict` when the port is taken. */
  async listen(host: string, port: number): Promise<void> {
    for (let attempt = 1; this.#port === 0; attempt++) {
      try {
        await this.#listenOnce(host, port);
      } catch (error) {
        await this.close();
        const taken = systemCode(error) === 'EADDRINUSE';
        if (taken && port === 0 && attempt < TRIES) continue;
        throw new CerebroError(taken ? 'conflict' : 'unavailable', listenSentence(host, port, taken, error), {
          cause: error,
        });
      }
    }
  }

  /** Fine twice. */
  async close(): Promise<void> {
    this.#port = 0;
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
    const [udp, tcp] = [this.#udp, this.#tcp];
    this.#udp = null;
    this.#tcp = null;
    await Promise.all([
      udp && new Promise<void>((resolve) => udp.close(() => resolve())),
      tcp?.listening && new Promise<void>((resolve) => tcp.close(() => resolve())),
    ]);
  }

  async #listenOnce(host: string, port: number): Promise<void> {
    const udp = createSocket('udp4');
    this.#udp = udp;
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind({ address: host, port, exclusive: true }, resolve);
    });
    udp.removeAllListeners('error');
    udp.on('error', (error) => this.#logger.warn({ reason: error.message }, 'dns-local: an answer could not be sent'));
    udp.on('message', (message, from) => {
      const answer = this.#answer(message, 'udp');
      if (answer) udp.send(answer, from.port, from.address, () => undefined);
    });
    const { port: bound } = udp.address();
    const tcp = createServer((connection) => this.#serve(connection));
    tcp.maxConnections = MAX_CONNECTIONS;
    this.#tcp = tcp;
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen({ host, port: bound, exclusive: true }, resolve);
    });
    tcp.removeAllListeners('error');
    tcp.on('error', (error) =>
      this.#logger.warn({ reason: error.message }, 'dns-local: a connection could not be taken'),
    );
    this.#port = bound;
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.setTimeout(IDLE_MS, () => connection.destroy());
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    let rest: Buffer = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const end = 2 + rest.readUInt16BE(0);
        this.#reply(connection, rest.subarray(2, end));
        rest = rest.subarray(end);
      }
    });
  }

  #reply(connection: Socket, message: Buffer): void {
    const answer = this.#answer(message, 'tcp');
    // Whoever sends no questions, or does not read the answers, is not waited for.
    if (!answer || connection.writableLength > MOST_WAITING) {
      connection.destroy();
      return;
    }
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    connection.write(Buffer.concat([length, answer]));
  }

  /** null: it is not even a query, and answering it could begin a game of ping-pong. */
  #answer(message: Buffer, transport: 'udp' | 'tcp'): Buffer | null {
    if (message.length < HEADER || ((message[2] ?? 0) & RESPONSE_BIT) !== 0) return null;
    try {
      return answerQuery(decode(message), this.#table, transport);
    } catch (error) {
      this.#logger.debug({ reason: messageOf(error) }, 'dns-local: a query could not be read');
      return answerGarbage(message);
    }
  }
}

function listenSentence(host: string, port: number, taken: boolean, error: unknown): string {
  const where = `port ${port} of ${host}`;
  if (taken)
    return `${where} is taken by another program, so names cannot be asked for there; end it, or give the plugin dns-local another "port" in plugins.json`;
  return `names cannot be answered on ${where}: ${messageOf(error)}`;
}
