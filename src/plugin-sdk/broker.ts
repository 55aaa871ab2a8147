import { GRPCBrokerDefinition } from '../gen/plugin/plugin.ts';
import { BROKER_WAIT_MS } from '../rpc/go-plugin.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * The plugin's end of go-plugin's broker: the host says where it listens for a service id.
 * An address may come before or after somebody asks for it: they travel on different streams.
 */
export class PluginBroker {
  readonly #addresses = new Map<number, PromiseWithResolvers<string>>();
  readonly #offered = new Map<number, string>();

  readonly service: BoundService = bindService(GRPCBrokerDefinition, {
    startStream: (requests) => this.#receive(requests),
  });

  /** @throws SpiffeError `PLUGIN_PROTOCOL` where the host does not offer the id within 5 s. */
  async findSocket(serviceId: number): Promise<string> {
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        timeout.reject(
          new SpiffeError('PLUGIN_PROTOCOL', `the host did not offer the brokered connection ${serviceId}`),
        ),
      BROKER_WAIT_MS,
    );
    try {
      return await Promise.race([this.#address(serviceId).promise, timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stays open until the host cancels it; this end offers nothing. */
  async *#receive(requests: AsyncIterable<{ serviceId: number; network: string; address: string }>) {
    const own = new Map<number, string>();
    try {
      for await (const { serviceId, network, address } of requests) {
        if (network !== 'unix' || this.#addresses.size >= MAX_OFFERS) continue;
        own.set(serviceId, address);
        this.#take(serviceId, address);
      }
    } finally {
      for (const [serviceId, address] of own) this.#forget(serviceId, address);
    }
    yield* [];
  }

  /** What another host offered before is no more: one that attaches to a plugin comes after one that has gone. */
  #take(serviceId: number, address: string): void {
    if (this.#offered.has(serviceId)) this.#addresses.delete(serviceId);
    this.#offered.set(serviceId, address);
    this.#address(serviceId).resolve(address);
  }

  #forget(serviceId: number, address: string): void {
    if (this.#offered.get(serviceId) !== address) return;
    this.#offered.delete(serviceId);
    this.#addresses.delete(serviceId);
  }

  #address(serviceId: number): PromiseWithResolvers<string> {
    const known = this.#addresses.get(serviceId) ?? Promise.withResolvers<string>();
    this.#addresses.set(serviceId, known);
    return known;
  }
}

/** A host has one connection for a plugin; this many ids are a broken one. */
const MAX_OFFERS = 64;
