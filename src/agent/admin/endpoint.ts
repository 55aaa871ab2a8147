import type { Logger } from '../../log/logger.ts';
import type { Interceptor } from '../../rpc/call.ts';
import type { ObserveCalls } from '../../rpc/call-observer.ts';
import type { CallTracer } from '../../rpc/call-tracer.ts';
import { RpcServer } from '../../rpc/server.ts';
import type { BoundService } from '../../rpc/service.ts';
import { listenUnix } from '../../rpc/unix-listener.ts';

/** For the agent's user and group: who may open the socket may call. */
const SOCKET_MODE = 0o770;
const FOLDER_MODE = 0o750;
/** A delegate has a stream open for every workload that it speaks for, over one connection. */
const MAX_CALLS = 2_000;

/**
 * Serves administrators of the agent on a Unix socket, where one is configured: inventory 2.5, `admin_socket_path`.
 * Disposing closes the door first and then lets calls end.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function openAdminEndpoint(options: {
  readonly socketPath: string | undefined;
  readonly services: readonly BoundService[];
  readonly interceptors: readonly Interceptor[];
  readonly observe: ObserveCalls;
  readonly tracer?: CallTracer | undefined;
  readonly log: Logger;
}): Promise<AsyncDisposable | undefined> {
  const { socketPath: path, services, interceptors, observe, tracer, log } = options;
  if (path === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    RpcServer.create({ services, interceptors, observe, tracer, log, maxConcurrentStreams: MAX_CALLS }),
  );
  stack.use(
    await listenUnix({
      path,
      mode: SOCKET_MODE,
      folderMode: FOLDER_MODE,
      log,
      onConnection: (socket, peer) => server.acceptAnyAuthority(socket, peer),
    }),
  );
  log.info('the admin API is served', { socket: path });
  return stack.move();
}
