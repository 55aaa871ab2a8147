import type { ServerConfig } from '../config/server-config.ts';
import type { AttestedAgent } from '../datastore/agent-rows.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { Logger } from '../log/logger.ts';
import type { PluginCatalog } from '../plugin-host/catalog.ts';
import { pluginsService } from '../plugin-host/plugins-service.ts';
import type { CallContext } from '../rpc/call.ts';
import { healthService } from '../rpc/health-service.ts';
import { serverLoggerService } from '../rpc/logger-service.ts';
import { reflectionServices } from '../rpc/reflection-service.ts';
import type { BoundService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { agentService } from './api/agent-service.ts';
import { bundleService } from './api/bundle-service.ts';
import { debugService } from './api/debug-service.ts';
import { entryService } from './api/entry-service.ts';
import { KeysFromBelow } from './api/keys-from-below.ts';
import { localAuthorityService } from './api/local-authority-service.ts';
import { svidService } from './api/svid-service.ts';
import { trustDomainService } from './api/trust-domain-service.ts';
import type { AttemptLog } from './attempts/attempt-log.ts';
import type { Attestors } from './attestation/attestors.ts';
import type { Authorizer } from './authorization/authorizer.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import type { CaManager } from './ca/ca-manager.ts';
import type { SvidIssuer } from './ca/svid-issuer.ts';
import type { EntryCache } from './entry-cache.ts';
import type { Federation } from './federation/federation.ts';
import { ownServices } from './own-services.ts';
import type { RateLimits } from './rate-limits/rate-limits.ts';
import type { Reattestation } from './reattestation/reattestation-settings.ts';
import type { VerdictHistory } from './reattestation/verdict-history.ts';
import type { ServerIdentity } from './server-identity.ts';
import type { ChangeWatch } from './watch/change-watch.ts';

export interface ServerServicesOptions {
  readonly config: ServerConfig;
  readonly datastore: Datastore;
  readonly bundle: BundleKeeper;
  readonly authorities: CaManager;
  readonly issuer: SvidIssuer;
  readonly identity: ServerIdentity;
  readonly entries: EntryCache;
  readonly federation: Federation;
  readonly attestors: Attestors;
  readonly authorizer: Authorizer;
  readonly rateLimits: RateLimits;
  readonly catalog: PluginCatalog;
  readonly watch: ChangeWatch;
  readonly attempts: AttemptLog;
  readonly metrics: Metrics;
  readonly history: VerdictHistory;
  readonly reattestation: Reattestation;
  readonly clock: () => Date;
  readonly log: Logger;
}

/** SPIRE's server API, and the list of plugins. Which of it a caller reaches, the authorizer decides. */
export function serverServices(options: ServerServicesOptions): readonly BoundService[] {
  const { config, datastore, bundle, issuer, identity, entries, attestors, authorizer, rateLimits, catalog, watch } =
    options;
  const { authorities, federation, clock, log } = options;
  const spend = (context: CallContext, count: number) => rateLimits.spend(context, count);
  const { trustDomain } = config;
  const callingAgent = (context: CallContext): AttestedAgent => {
    const { agent } = authorizer.callerOf(context);
    if (agent === undefined) throw new SpiffeError('PERMISSION_DENIED', 'the caller is not an agent');
    return agent;
  };
  const now = () => Math.floor(clock().getTime() / 1000);
  const authorizedEntries = (context: CallContext) => {
    const { spiffeId, selectors } = callingAgent(context);
    watch.syncs.record(spiffeId);
    return entries.authorizedEntries(spiffeId, selectors, now());
  };
  const authorizedEntry = (context: CallContext) => {
    const { spiffeId, selectors } = callingAgent(context);
    return entries.authorizedEntry(spiffeId, selectors, now());
  };
  const downstream = {
    issuer,
    bundle,
    keysFromBelow: new KeysFromBelow({ bundle, publish: (key) => authorities.publishJwtAuthority(key) }),
    downstreamEntries: (context: CallContext) => authorizer.callerOf(context).downstreamEntries ?? [],
    clock,
  };
  const access = (context: CallContext) => authorizer.accessOf(context);
  const services = [
    agentService({
      agents: datastore.agents,
      transaction: (work) => datastore.transaction(work),
      cache: entries,
      attestors,
      attempts: options.attempts,
      history: options.history,
      issuer,
      agentTtlSeconds: config.agentTtlSeconds,
      agentIdAsSelector: config.experimental.agentSpiffeIdAsSelector,
      trustDomain,
      clock,
      log,
      callingAgent,
      access,
      spend,
    }),
    entryService({ entries: datastore.entries, cache: entries, trustDomain, authorizedEntries, access }),
    svidService({
      issuer,
      trustDomain,
      x509SvidTtlSeconds: config.defaultX509SvidTtlSeconds,
      jwtSvidTtlSeconds: config.defaultJwtSvidTtlSeconds,
      disableJwtSvids: config.disableJwtSvids,
      authorizedEntry,
      access,
      spend,
      downstream,
    }),
    bundleService({
      own: bundle,
      bundles: datastore.bundles,
      federated: federation.bundles,
      downstream,
      entriesChanged: () => entries.refresh(),
    }),
    trustDomainService({
      own: trustDomain,
      datastore,
      federated: federation.bundles,
      manager: federation.manager,
      log,
    }),
    localAuthorityService(options.authorities),
    serverLoggerService(log),
    debugService({ datastore, bundle, identity, clock }),
    pluginsService(catalog),
    ...ownServices(options, callingAgent, authorizedEntry, access),
    healthService(() => catalog.plugins.every(({ state }) => state !== 'unhealthy')),
  ];
  return [...services, ...reflectionServices(services)];
}
