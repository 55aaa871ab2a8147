import type { Logger } from '../../log/logger.ts';
import type { Interceptor } from '../../rpc/call.ts';
import type { ObserveCalls } from '../../rpc/call-observer.ts';
import type { CallTracer } from '../../rpc/call-tracer.ts';
import { API_GRACE_MS, RpcServer } from '../../rpc/server.ts';
import type { BoundService } from '../../rpc/service.ts';
import { listenUnix } from '../../rpc/unix-listener.ts';
import type { CallerWatch } from './caller-watch.ts';
import { WorkloadConnections } from './connection-limits.ts';
import { securityHeader } from './security-header.ts';

/** Every process of the node may connect: what it gets, attestation decides. */
const SOCKET_MODE = 0o777;
const FOLDER_MODE = 0o755;
/** Calls at a time on one connection: each has a process attested, and is told of changes while it lasts. */
const MAX_CALLS = 100;
/** A workload that asks for its SVIDs once cancels the stream that would tell it of changes, as often as it asks. */
const CANCELS_A_SECOND = 20_000;

/** Serves workloads on a Unix socket. Disposing closes the door first and then lets calls end. */
export async function openEndpoint(options: {
  readonly socketPath: string;
  readonly services: readonly BoundService[];
  readonly interceptors: readonly Interceptor[];
  readonly observe: ObserveCalls;
  readonly tracer?: CallTracer | undefined;
  /** Told of every connection. */
  readonly watch: CallerWatch;
  readonly log: Logger;
}): Promise<AsyncDisposable> {
  const { socketPath: path, services, interceptors, observe, tracer, watch, log } = options;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    RpcServer.create({
      services,
      interceptors: [securityHeader, ...interceptors],
      observe,
      tracer,
      log,
      maxConcurrentStreams: MAX_CALLS,
      cancelsASecond: CANCELS_A_SECOND,
      graceMs: API_GRACE_MS,
    }),
  );
  const connections = new WorkloadConnections();
  stack.use(
    await listenUnix({
      path,
      mode: SOCKET_MODE,
      folderMode: FOLDER_MODE,
      log,
      onConnection: (socket, peer) => {
        if (!connections.admit(socket, peer)) {
          log.warning('a connection was refused', { path, pid: peer.pid, reason: 'its process or user has too many' });
          return;
        }
        watch.add(socket, peer);
        server.acceptAnyAuthority(socket, peer);
      },
    }),
  );
  return stack.move();
}
