import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { StatsdConfig } from '../config/telemetry-config.ts';
import type { Logger } from '../log/logger.ts';

/** Sends packets to one address. That nobody takes them stops nothing, and is told once. */
export class UdpSender implements Disposable {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #port: number;
  readonly #log: Logger;
  #hasFailed = false;

  constructor({ address }: StatsdConfig, log: Logger) {
    const colon = address.lastIndexOf(':');
    this.#host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    this.#port = Number(address.slice(colon + 1));
    this.#log = log;
    this.#socket = createSocket({ type: isIPv6(this.#host) ? 'udp6' : 'udp4' });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.unref();
  }

  send(packet: Uint8Array): void {
    this.#socket.send(packet, this.#port, this.#host, (error) => {
      if (error) this.#fail(error);
    });
  }

  [Symbol.dispose](): void {
    // What was just given to it is sent after a look-up of the name, which closing would end.
    setTimeout(() => this.#socket.close(), CLOSE_AFTER_MS).unref();
  }

  #fail(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const fields = { host: this.#host, port: this.#port, reason: error.message };
    this.#log.warning('metrics were not sent, which is not told again', fields);
  }
}

const CLOSE_AFTER_MS = 200;
