import type { AgentConfig } from '../config/agent-config.ts';
import { isComposite } from '../config/composite-rule.ts';
import { requireDataFolder } from '../files/data-folder.ts';
import { forgetLastWords, leaveLastWords } from '../files/last-words.ts';
import type { Logger } from '../log/logger.ts';
import { PluginCatalog } from '../plugin-host/catalog.ts';
import type { PluginStatus } from '../plugin-host/plugin-status.ts';
import { PluginTelemetry } from '../plugin-host/plugin-telemetry.ts';
import { isOwnUser, pluginsService } from '../plugin-host/plugins-service.ts';
import type { BuiltinPlugins } from '../plugin-host/to-plugin-spec.ts';
import { healthService } from '../rpc/health-service.ts';
import { agentLoggerService } from '../rpc/logger-service.ts';
import { SigningThread } from '../rpc/signing-thread.ts';
import { isSpiffeError, messageOf } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { rpcMeters } from '../telemetry/call-metrics.ts';
import { dumpMetrics } from '../telemetry/dump-metrics.ts';
import { openProfiling } from '../telemetry/open-profiling.ts';
import { openSinks } from '../telemetry/open-sinks.ts';
import { programMetrics } from '../telemetry/program-metrics.ts';
import { openTracing } from '../tracing/open-tracing.ts';
import { AgentDebug } from './admin/agent-debug.ts';
import { openAdminEndpoint } from './admin/endpoint.ts';
import type { JoinOptions } from './attestation/join-trust-domain.ts';
import { nodeEvidence } from './attestation/node-evidence.ts';
import { NodeReattestation } from './attestation/node-reattestation.ts';
import { openBrokerEndpoint } from './broker/endpoint.ts';
import { delegatedIdentityService } from './delegation/delegated-identity-service.ts';
import { findOrEarnSvid } from './identity/first-identity.ts';
import { NodeIdentity, type NodeIdentityOptions, ownIdentity } from './identity/node-identity.ts';
import { secretDiscoveryService } from './secret-discovery/secret-discovery-service.ts';
import { serveHealth } from './serve-health.ts';
import { serveMetrics } from './serve-metrics.ts';
import { ServerConnection } from './server-api/server-connection.ts';
import { AgentDataFile } from './storage/agent-data.ts';
import { CacheFile } from './storage/cache-file.ts';
import { requireNoSpireData } from './storage/foreign-data.ts';
import { SvidStores } from './svid-stores/svid-stores.ts';
import { Maintenance } from './sync/maintenance.ts';
import { SyncStatus } from './sync/sync-status.ts';
import { Synchronizer } from './sync/synchronizer.ts';
import { waitForFirstRound } from './sync/wait-for-first-round.ts';
import { AgentMetrics } from './telemetry/agent-metrics.ts';
import { measuredAttestors, measuredKeyManager } from './telemetry/measured-plugins.ts';
import { TrustBundle } from './trust-bundle.ts';
import { LogRefusals } from './why/log-refusals.ts';
import { RefusedCalls } from './why/refused-calls.ts';
import { whyService } from './why/why-service.ts';
import { WorkloadExplainer } from './why/workload-explainer.ts';
import { CallerWatch } from './workload-api/caller-watch.ts';
import { openEndpoint } from './workload-api/endpoint.ts';
import type { Callers } from './workload-api/workload-deps.ts';
import { WorkloadRateLimits } from './workload-api/workload-rate-limits.ts';
import { workloadService } from './workload-api/workload-service.ts';
import { type AttestWorkloadOptions, attestWorkload, requireSame } from './workloads/attest-workload.ts';
import { JwtSvids } from './workloads/jwt-svids.ts';
import { KnownSelectors } from './workloads/known-selectors.ts';
import { SharedAttestations } from './workloads/shared-attestations.ts';
import { findHindrance } from './workloads/svid-hindrance.ts';
import { WorkloadCache } from './workloads/workload-cache.ts';

export interface AgentOptions {
  readonly builtins: BuiltinPlugins;
  /** The configuration as it is now, for a plugin that is reloaded; absent, it does not change. */
  readonly readConfig?: () => Promise<AgentConfig>;
  readonly log: Logger;
  readonly clock?: () => Date;
  /** Gives up a start that is under way. */
  readonly signal?: AbortSignal;
  /** What the server is told of this program. */
  readonly version?: string;
}

/** An agent that answers workloads. Disposing ends their calls, its own work and its plugins. */
export interface RunningAgent extends AsyncDisposable {
  readonly agentId: SpiffeId;
  /** End of the X.509-SVID that the agent has at this moment. */
  readonly svidExpiresAt: Date;
  readonly socketPath: string;
  readonly plugins: readonly PluginStatus[];
  /** Reloads every plugin whose executable or configuration has changed; a failure is in the log. */
  reloadChangedPlugins(): Promise<void>;
  /** Rejected where the agent cannot go on, with what to do: it is to be disposed then. Resolved by disposal. */
  readonly ended: Promise<void>;
}

/** @throws SpiffeError that says what failed and what to do; nothing is left behind. */
export async function startAgent(config: AgentConfig, options: AgentOptions): Promise<RunningAgent> {
  const {
    log,
    clock = () => new Date(),
    builtins,
    readConfig,
    signal = new AbortController().signal,
    version = 'assayer',
  } = options;
  const { trustDomain, dataDir, experimental } = config;
  await using stack = new AsyncDisposableStack();
  await requireDataFolder(dataDir);
  await requireNoSpireData(dataDir);
  const data = await AgentDataFile.open(dataDir, trustDomain, log);
  const trust = await TrustBundle.open(data, config.trustBundleSource, trustDomain, signal);
  stack.defer(warmUpSigning());
  const metrics = programMetrics({ config: config.telemetry, program: 'agent', trustDomain, version });
  const tracing = stack.use(await openTracing({ config, program: 'agent', version, log }));
  const telemetry = new PluginTelemetry(metrics, tracing);
  const catalog = stack.use(
    await PluginCatalog.load({
      side: 'agent',
      plugins: config.plugins,
      trustDomain,
      builtins,
      dataDir,
      hostServices: [],
      telemetry,
      ...(readConfig === undefined ? {} : { readPlugins: async () => (await readConfig()).plugins }),
      log,
      signal,
    }),
  );
  telemetry.watch(() => catalog.plugins);
  const measured = new AgentMetrics(metrics);
  const keyManager = measuredKeyManager(catalog.keyManager, metrics);
  const server = {
    address: config.serverAddress,
    port: config.serverPort,
    trustDomain,
    requirePqKem: experimental.requirePqKem,
    ...(tracing === undefined ? {} : { tracer: tracing.calls }),
  };
  const status = new SyncStatus(clock);
  const cache = new WorkloadCache({
    trustDomain,
    clock,
    findHindrance: (entries) => findHindrance(entries, { status, address: server.address, port: server.port }),
  });
  const connection = stack.adopt(
    new ServerConnection({ ...server, bundle: () => trust.current, identity: () => identity.tlsIdentity }),
    (opened) => opened[Symbol.dispose](),
  );
  const jwtSvids = new JwtSvids({
    connection,
    maxSize: config.jwtSvidCacheMaxSize,
    hitTimeoutSeconds: experimental.jwtSvidCacheHitTimeoutSeconds,
    clock,
  });
  measured.sync.watch(
    () => cache.content,
    () => jwtSvids.count,
  );
  const attestors = measuredAttestors(catalog.workloadAttestors, metrics);
  const { logSelectors } = config;
  const refused = new RefusedCalls();
  const explainer = new WorkloadExplainer({ trustDomain, attestors, cache, status, connection, refused, clock });
  const refusals = stack.use(new LogRefusals({ explainer, refused, logSelectors, log, clock }));
  const known = new KnownSelectors();
  const attestation: AttestWorkloadOptions = {
    attestors,
    logSelectors,
    known,
    log,
    onOutcomes: (peer, outcomes) => refusals.found(peer, outcomes),
  };
  const attestations = new SharedAttestations(attestation);
  const rateLimits = new WorkloadRateLimits(experimental.ratelimit, measured.rateLimited);
  const watch = stack.use(new CallerWatch({ log }));
  const callers: Callers = {
    attest: (peer, callSignal) => measured.attesting(() => attestations.attest(peer, callSignal)),
    spend: (method, selectors, peer) =>
      rateLimits.spend(method, selectors, peer.kind === 'unix' ? peer.uid : undefined),
    requireSame,
    goneSignal: (peer) => watch.goneSignal(peer),
    watch: (selectors, callSignal) => cache.watch(selectors, callSignal),
    reattestSeconds: experimental.workloadReattestSeconds,
  };
  const workloads = workloadService({
    ...callers,
    trustDomain,
    fetchJwtSvid: (entry, audience) => jwtSvids.fetch(entry, audience),
    allowUnauthenticatedVerifiers: config.allowUnauthenticatedVerifiers,
    allowedForeignJwtClaims: config.allowedForeignJwtClaims,
    onJwtBundles: measured.jwtBundlesSent,
    clock,
  });
  const isHealthy = () => cache.content !== undefined && catalog.plugins.every(({ state }) => state !== 'unhealthy');
  // Before the node attests, which may use up a join token: a socket that cannot be had costs nothing then.
  const endpoint = await openEndpoint({
    socketPath: config.socketPath,
    services: [
      healthService(isHealthy),
      pluginsService(catalog, isOwnUser),
      whyService({ explainer }),
      ...(config.disableWorkloadApi ? [] : [workloads]),
      ...(config.disableSdsApi ? [] : [secretDiscoveryService({ ...callers, sds: config.sds, log })]),
    ],
    interceptors: [measured.connections, refusals],
    observe: rpcMeters(metrics),
    tracer: tracing?.calls,
    watch,
    log,
  });
  await using unlessStarted = new AsyncDisposableStack();
  unlessStarted.use(endpoint);
  const leaveWords = lastWordsFor(config.socketPath, log);
  await forgetLastWords(config.socketPath);
  const debug = new AgentDebug({ trust, cache, jwtSvids, clock });
  unlessStarted.use(
    await openAdminEndpoint({
      socketPath: config.adminSocketPath,
      services: [
        healthService(isHealthy),
        agentLoggerService(log),
        debug.service,
        pluginsService(catalog),
        whyService({ explainer, mayAskAll: () => true }),
        delegatedIdentityService({
          authorizedIds: config.authorizedDelegates,
          attest: (process, callSignal) => attestWorkload(process, callSignal, { attestors, logSelectors, known, log }),
          reattestSeconds: experimental.workloadReattestSeconds,
          cache,
          fetchJwtSvid: (entry, audience) => jwtSvids.fetch(entry, audience),
          onFirstSvids: measured.firstSvidsDelegated,
          log,
        }),
      ],
      interceptors: [measured.connections],
      observe: rpcMeters(metrics),
      tracer: tracing?.calls,
      log,
    }),
  );
  unlessStarted.use(await serveHealth({ config, catalog, hasEntries: () => cache.content !== undefined, log }));

  const join: JoinOptions = {
    server,
    trust,
    evidence: nodeEvidence({
      attestors: catalog.agentNodeAttestors,
      isComposite: config.plugins.some((plugin) => plugin.enabled && isComposite(plugin)),
      joinToken: config.joinToken,
    }),
    keyManager,
    onAttested: measured.onAttested,
    log,
    clock,
  };
  const identityOptions: NodeIdentityOptions = {
    trustDomain,
    keyManager,
    data,
    availabilityTargetSeconds: config.availabilityTargetSeconds,
    log,
    clock,
  };
  const rebootstrap = { mode: config.rebootstrapMode, delaySeconds: config.rebootstrapDelaySeconds };
  const svid = await leaveWords(
    findOrEarnSvid(identityOptions, { ...join, rebootstrapMode: rebootstrap.mode }, signal),
  );
  const identity = stack.use(await NodeIdentity.open(identityOptions, svid));
  stack.use(openSinks({ config: config.telemetry, program: 'agent', metrics, log }));
  stack.use(await openProfiling({ config: config.profiling, dataDir: config.dataDir, log }));
  stack.use(await serveMetrics({ config, metrics, identity, trust, log }));
  unlessStarted.use(
    await openBrokerEndpoint({
      config: experimental.broker,
      requirePqKem: experimental.requirePqKem,
      identity: ownIdentity(identity),
      findBundle: (name) => (name === trustDomain ? trust.current : cache.content?.bundles.get(name)),
      attestors,
      reattestSeconds: experimental.workloadReattestSeconds,
      cache,
      fetchJwtSvid: (entry, audience) => jwtSvids.fetch(entry, audience),
      observe: rpcMeters(metrics),
      tracer: tracing?.calls,
      log,
    }),
  );
  const cacheFile = new CacheFile({ folder: dataDir, keyManager, log });
  const restored = await cacheFile.read(svid.spiffeId);
  const synchronizer = new Synchronizer({
    trustDomain,
    connection,
    trust,
    cache,
    restored,
    jwtSvids,
    issue: {
      keyType: config.workloadX509SvidKeyType,
      availabilityTargetSeconds: config.availabilityTargetSeconds,
    },
    x509SvidCacheMaxSize: config.x509SvidCacheMaxSize,
    svidStores: new Set(catalog.svidStores.map(({ name }) => name)),
    useSyncAuthorizedEntries: experimental.useSyncAuthorizedEntries,
    status,
    metrics: measured.sync,
    log,
    clock,
  });
  debug.follow({ identity, synchronizer });
  stack.use(
    await SvidStores.start({
      trustDomain,
      stores: catalog.svidStores,
      cache,
      isWhole: () => synchronizer.isWhole,
      dataDir,
      log,
      clock,
    }),
  );
  const maintenance = stack.use(
    Maintenance.start({
      ...join,
      identity,
      connection,
      synchronizer,
      cache,
      cacheFile,
      data,
      syncIntervalSeconds: experimental.syncIntervalSeconds,
      status,
      rebootstrap,
      onRotated: measured.onRotated,
      version,
    }),
  );
  if (catalog.agentNodeAttestors.length > 0) {
    const onLost = () => maintenance.syncNow();
    stack.use(NodeReattestation.start({ evidence: join.evidence, identity, connection, onLost, log }));
  }
  explainer.follow({ identity, syncNow: () => maintenance.syncNow() });
  const ended = leaveWords(maintenance.ended);
  ended.catch(() => {}); // whoever waits for it sees it
  const { firstRound } = maintenance;
  await leaveWords(waitForFirstRound({ firstRound, connection, hasCache: restored !== undefined, signal }));
  synchronizer.useRestored();
  log.info('agent is ready', { spiffe_id: identity.svid.spiffeId, socket: config.socketPath });
  stack.use(unlessStarted.move());
  const running = stack.move();
  return {
    socketPath: config.socketPath,
    ended,
    get agentId() {
      return identity.svid.spiffeId;
    },
    get svidExpiresAt() {
      return identity.svid.expiresAt;
    },
    get plugins() {
      return catalog.plugins;
    },
    reloadChangedPlugins: async () => {
      if (config.telemetry.inMemory) await dumpMetrics(metrics, log);
      await catalog.reloader.reloadChanged();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** @returns what passes a result on, and leaves beside the socket what ends the agent, where something does. */
function lastWordsFor(socketPath: string, log: Logger): <Result>(work: Promise<Result>) => Promise<Result> {
  return async (work) => {
    try {
      return await work;
    } catch (error) {
      const reason = messageOf(error);
      if (!isSpiffeError(error, 'CANCELLED')) {
        await leaveLastWords(socketPath, { at: new Date(), reason }).catch((cause: Error) =>
          log.debug('why the agent ends could not be left beside its socket', { reason: cause.message }),
        );
      }
      throw error;
    }
  };
}

/** The thread that signs TLS handshakes takes a while to come up: it does so beside the plugins. @returns what lets it go. */
function warmUpSigning(): () => Promise<void> {
  const thread = SigningThread.acquire();
  thread.catch(() => {}); // whoever opens a key is told
  return () =>
    thread.then(
      (acquired) => acquired[Symbol.asyncDispose](),
      () => {},
    );
}
