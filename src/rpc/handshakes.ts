import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type ClientAddress, networkOf } from './network-address.ts';

/** Connections that have not finished their TLS handshake, so many at a time for an address. */
export class Handshakes {
  readonly #maxPerAddress: number;
  readonly #open = new Set<Socket>();
  readonly #clients = new WeakMap<object, ClientAddress>();
  readonly #counts = new Map<string, number>();

  constructor(maxPerAddress: number) {
    this.#maxPerAddress = maxPerAddress;
  }

  /** @returns false for one too many, which is not counted. */
  begin(socket: Socket, client: ClientAddress): boolean {
    const network = networkOf(client.address);
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#maxPerAddress) return false;
    this.#counts.set(network, count + 1);
    this.#open.add(socket);
    this.#clients.set(socket, client);
    socket.once('close', () => this.#forget(socket, network));
    return true;
  }

  /** @returns whose it is, for a socket that it was begun with. */
  end(socket: TLSSocket): ClientAddress | undefined {
    const plain = plainSocketOf(socket);
    const client = this.#clients.get(plain);
    if (client !== undefined) this.#forget(plain, networkOf(client.address));
    return client;
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #forget(socket: Socket, network: string): void {
    if (!this.#open.delete(socket)) return;
    const left = (this.#counts.get(network) ?? 1) - 1;
    if (left === 0) this.#counts.delete(network);
    else this.#counts.set(network, left);
  }
}

/** What a TLS socket was made of. Node hides it, and tells the address of a connection no more once that is reset. */
export function plainSocketOf(socket: TLSSocket): Socket {
  return Reflect.get(socket, '_parent') ?? socket;
}
