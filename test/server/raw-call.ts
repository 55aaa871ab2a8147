import { Metadata } from '@grpc/grpc-js';
import type { RpcChannel } from '../../src/rpc/channel.ts';
import { Status } from '../../src/spiffe/status.ts';

const asIs = (bytes: Buffer) => bytes;

/**
 * Calls any method with request messages that are whatever bytes: on the wire all methods are alike.
 *
 * @returns the status the call ended with; Ok also for a stream that answered and would have gone on.
 */
export function rawCall(channel: RpcChannel, path: string, ...messages: readonly Uint8Array[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const call = channel.client.makeBidiStreamRequest(path, asIs, asIs, new Metadata(), {
    deadline: Date.now() + 20_000,
  });
  let answered = false;
  call.on('data', () => {
    answered = true;
    if (path.endsWith('/Watch')) call.cancel();
  });
  call.on('error', () => {}); // the status tells
  call.on('status', ({ code }) => resolve(answered && code === Status.Cancelled ? Status.Ok : code));
  for (const message of messages) call.write(Buffer.from(message));
  call.end();
  return promise;
}
