import type { AuditSkip } from '../config/audit-log-config.ts';
import { readCompositeRule } from '../config/composite-rule.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { datastorePlace, openDatastore } from '../datastore/datastore.ts';
import { requireDataFolder } from '../files/data-folder.ts';
import type { Logger } from '../log/logger.ts';
import { PluginCatalog } from '../plugin-host/catalog.ts';
import type { PluginStatus } from '../plugin-host/plugin-status.ts';
import { PluginTelemetry } from '../plugin-host/plugin-telemetry.ts';
import type { BuiltinPlugins } from '../plugin-host/to-plugin-spec.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { trustDomainOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { rpcMeters } from '../telemetry/call-metrics.ts';
import { dumpMetrics } from '../telemetry/dump-metrics.ts';
import { openProfiling } from '../telemetry/open-profiling.ts';
import { openSinks } from '../telemetry/open-sinks.ts';
import { openTracing } from '../tracing/open-tracing.ts';
import { AttemptLog } from './attempts/attempt-log.ts';
import { Attestors } from './attestation/attestors.ts';
import { JOIN_TOKEN } from './attestation/join-token.ts';
import { AuditLog } from './audit/audit-log.ts';
import { Authorizer } from './authorization/authorizer.ts';
import { RecentAgents } from './authorization/recent-agents.ts';
import { Roles } from './authorization/roles.ts';
import { BundleAnnouncer } from './bundle-announcer.ts';
import { BundleKeeper } from './bundle-keeper.ts';
import { Composers } from './ca/composing/composers.ts';
import { caSubject, openAuthorities } from './ca/open-authorities.ts';
import { SvidIssuer } from './ca/svid-issuer.ts';
import { CallerBundles } from './caller-bundles.ts';
import { measuredDatastore } from './datastore-metrics.ts';
import { type Endpoints, openEndpoints } from './endpoints.ts';
import { EntryCache } from './entry-cache.ts';
import { openBundleEndpoint } from './federation/endpoint/bundle-endpoint.ts';
import { Federation } from './federation/federation.ts';
import { serveHealth } from './health.ts';
import { ServerHostServices } from './host-services.ts';
import { Housekeeping } from './housekeeping.ts';
import { RateLimits } from './rate-limits/rate-limits.ts';
import { OverdueWatch } from './reattestation/overdue-watch.ts';
import { Reattestation } from './reattestation/reattestation-settings.ts';
import { VerdictHistory } from './reattestation/verdict-history.ts';
import { VerdictWebhooks } from './reattestation/verdict-webhooks.ts';
import { ServerIdentity } from './server-identity.ts';
import { serveMetrics, serverMetrics } from './server-metrics.ts';
import { serverServices } from './services.ts';
import { findUnsupported } from './unsupported.ts';
import { ChangeWatch } from './watch/change-watch.ts';

export interface ServerOptions {
  readonly builtins: BuiltinPlugins;
  /** The configuration as it is now, for a plugin that is reloaded; absent, it does not change. */
  readonly readConfig?: () => Promise<ServerConfig>;
  readonly log: Logger;
  readonly clock?: () => Date;
  /** Gives up a start that is under way. */
  readonly signal?: AbortSignal;
  /** Of this program, as its metrics have it. */
  readonly version?: string;
}

/** A server that answers. Disposing ends calls, plugins and database in this order. */
export interface RunningServer extends AsyncDisposable {
  /** Port of the TCP endpoint: what was configured, or what the system chose for 0. */
  readonly port: number;
  readonly socketPath: string;
  /** Of the bundle endpoint, where there is one. */
  readonly bundleEndpointPort: number | undefined;
  readonly plugins: readonly PluginStatus[];
  /** Reloads every plugin whose executable or configuration has changed; a failure is in the log. */
  reloadChangedPlugins(): Promise<void>;
  readonly bundle: Bundle;
}

/** @throws SpiffeError that says what failed and what to do; nothing is left behind. */
export async function startServer(config: ServerConfig, options: ServerOptions): Promise<RunningServer> {
  const { log, clock = () => new Date(), builtins, readConfig, signal, version = 'assayer' } = options;
  const { trustDomain } = config;
  await using stack = new AsyncDisposableStack();
  for (const key of findUnsupported(config)) log.warning('this version does not have what is configured', { key });
  await requireDataFolder(config.dataDir);
  const stored = stack.use(await openDatastore({ ...datastorePlace(config.datastore), clock, log }));
  const metrics = serverMetrics(config, version);
  const tracing = stack.use(await openTracing({ config, program: 'server', version, log }));
  const datastore = measuredDatastore(stored, metrics, tracing);
  const telemetry = new PluginTelemetry(metrics, tracing);
  const hostServices = new ServerHostServices();
  const catalog = stack.use(
    await PluginCatalog.load({
      side: 'server',
      plugins: config.plugins,
      trustDomain,
      builtins,
      dataDir: config.dataDir,
      hostServices: hostServices.services,
      telemetry,
      log,
      ...(readConfig === undefined ? {} : { readPlugins: async () => (await readConfig()).plugins }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  telemetry.watch(() => catalog.plugins);
  const bundle = await BundleKeeper.open(datastore.bundles, trustDomain);
  stack.defer(bundle.follow(datastore.changes, log));
  const { keyManager, upstreamAuthority: upstream } = catalog;
  const composers = new Composers(catalog.credentialComposers);
  const { manager: authorities } = stack.use(
    await openAuthorities({ config, datastore, keyManager, upstream, composers, bundle, metrics, log, clock, signal }),
  );
  const issuer = new SvidIssuer(authorities, {
    clock,
    metrics,
    composers,
    downstreamCa: { trustDomain, subject: caSubject(config.caSubject), ttlSeconds: config.caTtlSeconds },
    ...(config.jwtIssuer === undefined ? {} : { jwtIssuer: config.jwtIssuer }),
  });
  const identity = stack.use(
    await ServerIdentity.open({
      issuer,
      bundle,
      trustDomain,
      ttlSeconds: config.defaultX509SvidTtlSeconds,
      metrics,
      log,
      clock,
    }),
  );
  hostServices.wire({ agents: datastore.agents, identity, bundle });
  const entries = await EntryCache.open(datastore.entries, trustDomain, metrics);
  const federation = stack.use(await Federation.start({ config, datastore, bundle, metrics, log }));
  stack.use(Housekeeping.start({ config, datastore, entries, metrics, log, clock }));
  const attestors = new Attestors({
    trustDomain,
    plugins: new Map(catalog.serverNodeAttestors.map((attestor) => [attestor.name, attestor])),
    composite: readCompositeRule(config.plugins),
    ...(hasJoinToken(catalog.plugins) ? { joinTokens: { repository: datastore.joinTokens, clock } } : {}),
  });
  const { adminIds } = config;
  const roles = new Roles(config.roles);
  const callerBundles = new CallerBundles({
    own: bundle,
    federated: federation.bundles,
    trustDomains: [...adminIds, ...roles.callers].map(trustDomainOf),
  });
  const isTrusted = (caller: TrustDomain) => callerBundles.find(caller) !== undefined;
  const maxStalenessMs = config.maxAttestedNodeInfoStalenessSeconds * 1000;
  const recentAgents = maxStalenessMs > 0 ? stack.use(new RecentAgents(maxStalenessMs, datastore.changes)) : undefined;
  const { agents } = datastore;
  const authorizer = new Authorizer({ agents, recentAgents, entries, adminIds, roles, isTrusted, clock });
  const rateLimits = new RateLimits(config.ratelimit);
  const watch = stack.use(
    await ChangeWatch.open({ datastore, cache: entries, bundle, federated: federation.bundles, log, clock }),
  );
  const audit = config.auditLogEnabled ? auditLog(config.auditLogSkip, authorizer, log) : undefined;
  const reattestation = Reattestation.of(config.plugins, catalog.serverNodeAttestors);
  const webhooks = stack.use(new VerdictWebhooks({ settings: reattestation, log }));
  const history = new VerdictHistory({ verdicts: datastore.verdicts, webhooks, log, clock });
  stack.use(
    OverdueWatch.start({
      agents,
      verdicts: datastore.verdicts,
      history,
      settings: reattestation,
      agentIdAsSelector: config.experimental.agentSpiffeIdAsSelector,
      leads: () => datastore.leads,
      metrics,
      log,
      clock,
    }),
  );
  const services = serverServices({
    config,
    datastore,
    bundle,
    authorities,
    issuer,
    identity,
    entries,
    federation,
    attestors,
    authorizer,
    rateLimits,
    catalog,
    watch,
    metrics,
    history,
    reattestation,
    attempts: stack.use(new AttemptLog({ attempts: datastore.attempts, leads: () => datastore.leads, log, clock })),
    clock,
    log,
  });
  const { notifiers, bundlePublishers: publishers } = catalog;
  stack.use(await BundleAnnouncer.start({ notifiers, publishers, bundle, log, signal }));
  stack.use(openSinks({ config: config.telemetry, program: 'server', metrics, log }));
  stack.use(await openProfiling({ config: config.profiling, dataDir: config.dataDir, log }));
  stack.use(await serveMetrics({ config, metrics, identity, bundle, log }));
  const observe = rpcMeters(metrics);
  const endpoints: Endpoints = stack.use(
    await openEndpoints({
      config,
      services,
      authorizer,
      rateLimits,
      identity,
      bundle,
      callerBundles,
      observe,
      tracer: tracing?.calls,
      log,
      audit,
    }),
  );
  stack.defer(() => watch.hub[Symbol.asyncDispose]()); // streams without an end, before the endpoints wait for calls
  const bundleEndpoint = stack.use(await openBundleEndpoint({ config, bundle, identity, log, clock }));
  stack.use(await serveHealth({ config, datastore, authorities, issuer, catalog, log }));
  log.info('server is ready', { trust_domain: trustDomain, port: endpoints.port, socket: config.socketPath });
  const running = stack.move();
  return {
    port: endpoints.port,
    socketPath: config.socketPath,
    bundleEndpointPort: bundleEndpoint?.port,
    get plugins() {
      return catalog.plugins;
    },
    reloadChangedPlugins: async () => {
      if (config.telemetry.inMemory) await dumpMetrics(metrics, log);
      await catalog.reloader.reloadChanged();
    },
    get bundle() {
      return bundle.current;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function auditLog(skip: readonly AuditSkip[], authorizer: Authorizer, log: Logger): AuditLog {
  return new AuditLog({ skip, log, findCaller: (context) => authorizer.findCaller(context) });
}

function hasJoinToken(plugins: readonly PluginStatus[]): boolean {
  return plugins.some(({ type, name }) => type === 'NodeAttestor' && name === JOIN_TOKEN);
}
