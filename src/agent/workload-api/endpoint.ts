import type { Logger } from '../../log/logger.ts';
import { RpcServer } from '../../rpc/server.ts';
import type { BoundService } from '../../rpc/service.ts';
import { listenUnix } from '../../rpc/unix-listener.ts';
import { securityHeader } from './security-header.ts';

/** Every process of the node may connect: what it gets, attestation decides. */
const SOCKET_MODE = 0o777;
const FOLDER_MODE = 0o755;
/** A workload that asks for its SVIDs once cancels the stream that would tell it of changes, as often as it asks. */
const CANCELS_A_SECOND = 20_000;

/** Serves workloads on a Unix socket. Disposing closes the door first and then lets calls end. */
export async function openEndpoint(options: {
  readonly socketPath: string;
  readonly services: readonly BoundService[];
  readonly log: Logger;
}): Promise<AsyncDisposable> {
  const { socketPath: path, services, log } = options;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    RpcServer.create({ services, interceptors: [securityHeader], log, cancelsASecond: CANCELS_A_SECOND }),
  );
  stack.use(
    await listenUnix({
      path,
      mode: SOCKET_MODE,
      folderMode: FOLDER_MODE,
      log,
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  );
  return stack.move();
}
