import { createSocket, type Socket } from 'node:dgram';

/**
 * Stands between a client and a DNS server on loopback, and loses, doubles or alters what goes through, as a network may. With
 * `answer` it is the server itself.
 */
export class DatagramRelay {
  port = 0;
  /** What becomes of a request; nothing: it is lost. */
  onRequest: (message: Buffer) => Buffer[] = (message) => [message];
  /** Answers a request in the server's place. */
  answer: (message: Buffer) => Buffer[] = () => [];
  /** What becomes of an answer. */
  onAnswer: (message: Buffer) => Buffer[] = (message) => [message];
  /** Requests that came in, lost ones too. */
  requests = 0;
  readonly #serverPort: number;
  readonly #front = createSocket('udp4');
  readonly #backs = new Set<Socket>();

  constructor(serverPort: number) {
    this.#serverPort = serverPort;
  }

  async start(): Promise<void> {
    this.#front.on('message', (message, from) => {
      this.requests += 1;
      const back = createSocket('udp4');
      this.#backs.add(back);
      back.on('message', (answer) => {
        for (const each of this.onAnswer(answer)) this.#front.send(each, from.port, from.address);
      });
      for (const each of this.answer(message)) this.#front.send(each, from.port, from.address);
      for (const each of this.onRequest(message)) back.send(each, this.#serverPort, '127.0.0.1');
    });
    await new Promise<void>((resolve) => this.#front.bind(0, '127.0.0.1', resolve));
    this.port = this.#front.address().port;
  }

  stop(): void {
    this.#front.close();
    for (const back of this.#backs) back.close();
  }
}
