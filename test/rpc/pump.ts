import { expect } from 'vitest';
import type { RawClient } from './any-authority/raw-client.ts';
import { gather, restored } from './talking-server.ts';
import { data, lastData, WINDOW_BYTES } from './watched-server.ts';

/** Sends what a call's windows allow. */
export class Pump {
  sent = 0;
  readonly #client: RawClient;
  readonly #streamId: number;
  readonly #bytes: Buffer;
  #nextStream = 201;

  constructor(client: RawClient, streamId: number, bytes: Buffer) {
    this.#client = client;
    this.#streamId = streamId;
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.sent;
  }

  /** Until all is sent, or no more may be though the server has seen what was. */
  async run(): Promise<void> {
    for (let hasSynced = false; this.left > 0; ) {
      const room = Math.min(
        16_384,
        this.left,
        WINDOW_BYTES + restored(this.#client, this.#streamId) - this.sent,
        WINDOW_BYTES + restored(this.#client, 0) - this.sent,
      );
      if (room > 0) {
        this.#client.send(data(this.#streamId, this.#bytes.subarray(this.sent, this.sent + room)));
        this.sent += room;
        hasSynced = false;
      } else if (hasSynced) {
        return;
      } else {
        await this.#sync();
        hasSynced = true;
      }
    }
  }

  async #sync(): Promise<void> {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#client.send(gather(id), lastData(id, Buffer.alloc(0)));
    expect(await this.#client.statusOf(id)).toBe('0');
  }
}
