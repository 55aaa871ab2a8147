import { expect, onTestFinished, test } from 'vitest';
import { GRPCStdioDefinition } from '../../src/gen/plugin/plugin.ts';
import { Logger } from '../../src/log/logger.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const log = new Logger(() => {});
const AT_ONCE = 25;
const CALLS = 1_500; // nghttp2 takes 1,000 at once, and 33 a second from then on

/** @returns how many connections it took to make {@link CALLS} calls that are cancelled after their first answer. */
async function connectionsFor(options: { cancelsASecond?: number }): Promise<number> {
  const resources = new AsyncDisposableStack();
  onTestFinished(() => resources.disposeAsync());
  const folder = resources.use(await createTemporaryFolder());
  const service = bindService(GRPCStdioDefinition, {
    async *streamStdio(_request, { signal }) {
      yield { channel: 1, data: new Uint8Array(1) };
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  });
  const server = resources.use(RpcServer.create({ services: [service], log, graceMs: 100, ...options }));
  let connections = 0;
  const path = folder.join('s');
  resources.use(
    await listenUnix({
      path,
      mode: 0o700,
      log,
      onConnection(socket, peer) {
        connections += 1;
        server.accept(socket, peer);
      },
    }),
  );
  const channel = resources.adopt(RpcChannel.unix(path), (opened) => opened[Symbol.dispose]());
  const client = createClient(GRPCStdioDefinition, channel);
  const cancelSome = async () => {
    for (let count = 0; count < CALLS / AT_ONCE; count += 1) {
      await using call = client.streamStdio({});
      await call.receive().catch(() => {}); // cut off with its connection
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, cancelSome));
  return connections;
}

test('a client that cancels very often is cut off, unless the server says otherwise', async () => {
  expect(await connectionsFor({})).toBeGreaterThan(1);
  expect(await connectionsFor({ cancelsASecond: 20_000 })).toBe(1);
});
