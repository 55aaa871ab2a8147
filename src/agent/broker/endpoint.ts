import type { Duplex } from 'node:stream';
import type { BrokerConfig } from '../../config/agent-config.ts';
import type { ObserveCalls } from '../../rpc/call-observer.ts';
import type { CallTracer } from '../../rpc/call-tracer.ts';
import { API_GRACE_MS, RpcServer } from '../../rpc/server.ts';
import type { IdentitySource } from '../../rpc/svid-listener.ts';
import { listenTls } from '../../rpc/tls-server.ts';
import { listenTlsUnix } from '../../rpc/tls-unix-server.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { WorkloadConnections } from '../workload-api/connection-limits.ts';
import { brokerSecurityHeader } from '../workload-api/security-header.ts';
import type { Transport } from './broker-policy.ts';
import { type BrokerDeps, brokerService } from './broker-service.ts';

export interface BrokerEndpointOptions extends Omit<BrokerDeps, 'policy'> {
  /** Absent: there is no Broker API. */
  readonly config: BrokerConfig | undefined;
  readonly requirePqKem: boolean;
  /** The agent's own. */
  readonly identity: IdentitySource;
  /** Of the trust domains that brokers may be of. */
  findBundle(trustDomain: TrustDomain): Bundle | undefined;
  readonly observe: ObserveCalls;
  readonly tracer?: CallTracer | undefined;
}

/** Who calls proves who it is by its SVID. */
const SOCKET_MODE = 0o777;
const FOLDER_MODE = 0o755;
/** A broker has a stream open for every workload that it asks for, over one connection. */
const MAX_CALLS = 2_000;
const MAX_ANONYMOUS_CALLS = 1;
/** Time enough to be told why. */
const ANONYMOUS_MS = 10_000;
const MAX_HANDSHAKES_PER_ADDRESS = 16;

/**
 * Serves brokers over mTLS, on a Unix socket and a port as configured: inventory C130 to C134. Disposing closes the doors first
 * and then lets calls end.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function openBrokerEndpoint(options: BrokerEndpointOptions): Promise<AsyncDisposable | undefined> {
  const { config, identity, requirePqKem, findBundle, log } = options;
  if (config === undefined) return undefined;
  const { socketPath: path, bindAddress } = config;
  await using stack = new AsyncDisposableStack();
  if (path !== undefined) {
    const accept = serve('unix', config, options, stack);
    const connections = new WorkloadConnections();
    stack.use(
      await listenTlsUnix({
        path,
        mode: SOCKET_MODE,
        folderMode: FOLDER_MODE,
        identity,
        requirePqKem,
        log,
        findBundle,
        admit: (socket, peer) => connections.admit(socket, peer),
        onConnection: accept,
      }),
    );
    log.info('the Broker API is served', { socket: path });
  }
  if (bindAddress !== undefined) {
    const accept = serve('tcp', config, options, stack);
    const tls = stack.use(
      await listenTls({
        address: bindAddress.host,
        port: bindAddress.port,
        identity: identity.current,
        requirePqKem,
        maxHandshakesPerAddress: MAX_HANDSHAKES_PER_ADDRESS,
        log,
        findBundle,
        onConnection: accept,
      }),
    );
    stack.defer(identity.subscribe((next) => tls.useIdentity(next)));
    log.info('the Broker API is served', { address: bindAddress.host, port: tls.port });
  }
  return stack.move();
}

/** Whoever shows no SVID gets no further than to be told so. */
function serve(
  transport: Transport,
  { brokers }: BrokerConfig,
  { findBundle, observe, tracer, ...deps }: BrokerEndpointOptions,
  stack: AsyncDisposableStack,
): Parameters<typeof listenTls>[0]['onConnection'] {
  const service = brokerService({ ...deps, policy: { brokers, transport, findBundle } });
  const open = (maxConcurrentStreams: number) =>
    stack.use(
      RpcServer.create({
        services: [service],
        interceptors: [brokerSecurityHeader],
        observe,
        tracer,
        log: deps.log,
        maxConcurrentStreams,
        graceMs: API_GRACE_MS,
      }),
    );
  const [known, strangers] = [open(MAX_CALLS), open(MAX_ANONYMOUS_CALLS)];
  return (socket, peer) => {
    if (peer.spiffeId === undefined) cutOffAfter(socket, ANONYMOUS_MS);
    (peer.spiffeId === undefined ? strangers : known).accept(socket, peer);
  };
}

/** Whatever it does by then. */
export function cutOffAfter(socket: Duplex, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}
