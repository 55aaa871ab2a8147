import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { GRPCBrokerDefinition, GRPCStdioDefinition } from '../../src/gen/plugin/plugin.ts';
import { KeyManagerDefinition } from '../../src/gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const CANCELLED = 1;

/** @returns a channel to somebody who accepts connections and never says a word. */
async function channelToSilence(): Promise<RpcChannel> {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const path = folder.join('s');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const channel = RpcChannel.unix(path);
  onTestFinished(() => channel[Symbol.dispose]());
  return channel;
}

test('calls of each kind end when their channel is told that nobody will answer', { timeout: 5_000 }, async () => {
  const channel = await channelToSilence();
  const unary = createClient(KeyManagerDefinition, channel).getPublicKeys({});
  await using serverStream = createClient(GRPCStdioDefinition, channel).streamStdio({});
  await using bidirectional = createClient(GRPCBrokerDefinition, channel.ofStreams).startStream();
  const ends = [unary, serverStream.receive(), bidirectional.receive()];
  const settled = Promise.allSettled(ends);

  channel.cancelCalls();

  expect(await settled).toEqual(
    Array.from(ends, () => ({ status: 'rejected', reason: expect.objectContaining({ status: CANCELLED }) })),
  );
});

test('a call that has ended is not kept', async () => {
  const channel = await channelToSilence();
  const call = createClient(KeyManagerDefinition, channel).getPublicKeys({}, { signal: AbortSignal.timeout(10) });
  await expect(call).rejects.toMatchObject({ status: CANCELLED });
  expect(channel.calls.size).toBe(0);
});
