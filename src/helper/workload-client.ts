import { SpiffeWorkloadAPIDefinition } from '../gen/workload/workload.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { type CallOptions, type Client, createClient, type ServerStreamCall } from '../rpc/client.ts';
import { WORKLOAD_METADATA } from '../rpc/workload-metadata.ts';
import { SpiffeError } from '../spiffe/error.ts';

type WorkloadApi = Client<typeof SpiffeWorkloadAPIDefinition>;

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const DEADLINE_MS = 30_000;

/** Calls the agent over a new connection each time: one that failed is not waited for. */
export class WorkloadClient {
  readonly socketPath: string;
  readonly #signal: AbortSignal;

  constructor(socketPath: string, signal: AbortSignal) {
    this.socketPath = socketPath;
    this.#signal = signal;
  }

  /** One answer. @throws RemoteError */
  async ask<Answer>(call: (api: WorkloadApi, options: CallOptions) => Promise<Answer>): Promise<Answer> {
    using channel = this.#connect();
    const options = { metadata: WORKLOAD_METADATA, signal: this.#signal, deadlineMs: DEADLINE_MS };
    return await call(createClient(SpiffeWorkloadAPIDefinition, channel), options);
  }

  /**
   * Every answer of a stream, until it ends; with `onlyFirst`, the first.
   *
   * @throws RemoteError; SpiffeError `UNAVAILABLE` where the agent ends the stream
   */
  async watch<Answer>(
    call: (api: WorkloadApi, options: CallOptions) => ServerStreamCall<Answer>,
    onAnswer: (answer: Answer) => Promise<void>,
    onlyFirst: boolean,
  ): Promise<void> {
    using channel = this.#connect();
    const options = { metadata: WORKLOAD_METADATA, signal: this.#signal };
    await using stream = call(createClient(SpiffeWorkloadAPIDefinition, channel), options);
    for await (const answer of stream) {
      await onAnswer(answer);
      if (onlyFirst) return;
    }
    throw new SpiffeError('UNAVAILABLE', 'the agent ended the stream of answers: it may be starting again');
  }

  #connect(): RpcChannel {
    return RpcChannel.unix(this.socketPath, { maxMessageBytes: MAX_MESSAGE_BYTES });
  }
}
