import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { MetricsDefinition } from '../../src/gen/spire/hostservice/common/metrics/v1/metrics.ts';
import { Logger } from '../../src/log/logger.ts';
import { HostServiceServer } from '../../src/plugin-host/host-service-server.ts';
import { metricsService } from '../../src/plugin-host/metrics-service.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const log = new Logger(() => {}, 'trace');

async function listen(stack: AsyncDisposableStack): Promise<string> {
  const folder = stack.use(await createTemporaryFolder());
  const options = { path: folder.join('host'), services: [metricsService(log)], autoMtls: undefined, log };
  return stack.use(await HostServiceServer.listen(options)).path;
}

test('a plugin that opens connections without end gets a few', async () => {
  await using stack = new AsyncDisposableStack();
  const path = await listen(stack);
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async (): Promise<Socket> => {
      const socket = connect(path).on('error', () => {});
      stack.defer(() => void socket.destroy());
      await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', () => resolve()));
      return socket.resume();
    }),
  );
  await expect.poll(() => sockets.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(16);
});

test('a request beyond all measure is refused, the next one is served', async () => {
  await using stack = new AsyncDisposableStack();
  using channel = RpcChannel.unix(await listen(stack));
  const metrics = createClient(MetricsDefinition, channel);
  const count = (key: string) => metrics.incrCounter({ key: [key], val: 1, labels: [] }, { deadlineMs: 5_000 });
  await expect(count('x'.repeat(1_000_000))).rejects.toMatchObject({ status: Status.ResourceExhausted });
  await expect(count('calls')).resolves.toEqual({});
});
