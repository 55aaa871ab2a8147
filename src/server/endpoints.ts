import type { ServerConfig } from '../config/server-config.ts';
import type { Logger } from '../log/logger.ts';
import type { ObserveCalls } from '../rpc/call-observer.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import { API_GRACE_MS, RpcServer } from '../rpc/server.ts';
import type { BoundService } from '../rpc/service.ts';
import type { TlsIdentity } from '../rpc/tls-identity.ts';
import { listenTls } from '../rpc/tls-server.ts';
import { listenUnix } from '../rpc/unix-listener.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { Authorizer } from './authorization/authorizer.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import type { CallerBundles } from './caller-bundles.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { cutOffDistrusted } from './cut-off-distrusted.ts';
import type { RateLimits } from './rate-limits/rate-limits.ts';
import type { ServerIdentity, X509Identity } from './server-identity.ts';

export interface EndpointsOptions {
  readonly config: ServerConfig;
  readonly services: readonly BoundService[];
  readonly authorizer: Authorizer;
  readonly rateLimits: RateLimits;
  readonly identity: ServerIdentity;
  /** The server's own. */
  readonly bundle: BundleKeeper;
  readonly callerBundles: CallerBundles;
  readonly observe: ObserveCalls;
  readonly tracer?: CallTracer | undefined;
  readonly log: Logger;
  /** Absent: nothing is recorded. */
  readonly audit: AuditLog | undefined;
}

/** The two ways in. Disposing closes the doors first and then lets calls end. */
export interface Endpoints extends AsyncDisposable {
  /** Of the TCP endpoint, as bound. */
  readonly port: number;
}

/** The admin socket is for the server's user and group. */
const ADMIN_SOCKET_MODE = 0o770;
const ADMIN_FOLDER_MODE = 0o750;
/** Calls at a time on one connection: a request may have 4 MiB, and is read before anybody knows whose it is. */
const MAX_CALLS = 100;
const MAX_ANONYMOUS_CALLS = 4;
/** All nodes behind one address may come back at once. */
const MAX_HANDSHAKES_PER_ADDRESS = 256;

/** The API over TLS for agents and administrators, and over the admin socket for whoever may open that. */
export async function openEndpoints(options: EndpointsOptions): Promise<Endpoints> {
  const { config, authorizer, rateLimits, identity, bundle, callerBundles, observe, tracer, log, audit } = options;
  const services = audit === undefined ? options.services : options.services.map((one) => audit.wrap(one));
  const interceptors = [...(audit === undefined ? [] : [audit]), authorizer, rateLimits];
  await using stack = new AsyncDisposableStack();
  const serve = (maxConcurrentStreams: number) =>
    RpcServer.create({
      services,
      interceptors,
      observe,
      tracer,
      log,
      maxConcurrentStreams,
      graceMs: API_GRACE_MS,
    });
  const server = serve(MAX_CALLS);
  const strangers = serve(MAX_ANONYMOUS_CALLS);
  stack.defer(async () => {
    await Promise.all([server, strangers].map((ending) => ending[Symbol.asyncDispose]())); // they have one time to end in
  });
  const limits = new ConnectionLimits();
  const tls = stack.use(
    await listenTls({
      address: config.bindAddress,
      port: config.bindPort,
      reusePort: config.bindReusePort,
      identity: toTlsIdentity(identity.current),
      requirePqKem: config.experimental.requirePqKem,
      trustedProxies: config.proxyProtocolTrustedCidrs,
      maxHandshakesPerAddress: MAX_HANDSHAKES_PER_ADDRESS,
      log,
      findBundle: (trustDomain) => callerBundles.find(trustDomain),
      onConnection: (socket, peer) => {
        if (limits.admit(socket, peer)) (peer.spiffeId === undefined ? strangers : server).accept(socket, peer);
        else log.warning('a connection was refused', { address: peer.address, reason: 'this peer has too many' });
      },
    }),
  );
  stack.defer(identity.subscribe((current) => tls.useIdentity(toTlsIdentity(current))));
  stack.defer(cutOffDistrusted(tls, bundle, log));
  stack.use(
    await listenUnix({
      path: config.socketPath,
      mode: ADMIN_SOCKET_MODE,
      folderMode: ADMIN_FOLDER_MODE,
      log,
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  );
  if (config.proxyProtocolTrustedCidrs.length > 0) {
    log.info('the PROXY protocol is on', { trusted_cidrs: config.proxyProtocolTrustedCidrs.join(', ') });
  }
  const opened = stack.move();
  return { port: tls.port, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

export function toTlsIdentity({ chain, privateKey }: X509Identity): TlsIdentity {
  return { certificates: chain, privateKey };
}
