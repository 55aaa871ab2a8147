import { GRPCStdioDefinition, type StdioData, StdioData_Channel } from '../gen/plugin/plugin.ts';
import { MessageQueue } from '../rpc/message-queue.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** Chunks kept while the host does not read; older prints are worth less than a plugin that goes on. */
const MAX_WAITING_CHUNKS = 64;
const CHUNK_BYTES = 1024;

/**
 * Carries what a plugin prints, once its handshake stands on the real standard output.
 * A host that does not drain it loses prints; a plugin never waits for it.
 */
export class PluginStdio {
  readonly #chunks = new MessageQueue<StdioData>();
  #taken = false;

  readonly service: BoundService = bindService(GRPCStdioDefinition, {
    streamStdio: () => this.#stream(),
  });

  /** Takes over `process.stdout`. */
  redirect(stdout: NodeJS.WriteStream): void {
    stdout.write = (chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
      this.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
      const done = rest.find((argument) => typeof argument === 'function');
      if (done !== undefined) process.nextTick(done);
      return true;
    };
  }

  push(data: Uint8Array): void {
    for (let start = 0; start < data.length; start += CHUNK_BYTES) {
      if (this.#chunks.size >= MAX_WAITING_CHUNKS) return;
      this.#chunks.push({ channel: StdioData_Channel.STDOUT, data: data.subarray(start, start + CHUNK_BYTES) });
    }
  }

  async *#stream(): AsyncGenerator<StdioData> {
    if (this.#taken) throw new SpiffeError('FAILED_PRECONDITION', 'standard output is streamed once');
    this.#taken = true;
    yield* this.#chunks;
  }
}
