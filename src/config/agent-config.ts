import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { type AgentSection, agentFile, DEFAULT_AGENT_SOCKET_PATH } from './agent-schema.ts';
import { type ReadFileOptions, readConfigFile, readOrRefuse } from './config-file.ts';
import type { HealthChecksConfig } from './health-config.ts';
import { type LogConfig, toLogConfig } from './log-config.ts';
import type { PluginConfig } from './plugins.ts';
import { configError } from './problem.ts';
import { type ProfilingConfig, toProfilingConfig } from './profiling-config.ts';
import type { TelemetryConfig } from './telemetry-config.ts';
import { toOverrides } from './to-overrides.ts';
import { type TrustBundleSource, toTrustBundleSource } from './trust-bundle-source.ts';

/** An agent's configuration with every default filled in. Source: inventory C072 to C136. */
export interface AgentConfig {
  readonly trustDomain: TrustDomain;
  readonly dataDir: string;
  readonly serverAddress: string;
  readonly serverPort: number;
  /** Absolute path of the Workload API's socket. */
  readonly socketPath: string;
  /** Absolute path; absent: no admin API. */
  readonly adminSocketPath: string | undefined;
  readonly trustBundleSource: TrustBundleSource;
  readonly rebootstrapMode: 'never' | 'auto' | 'always';
  readonly rebootstrapDelaySeconds: number;
  /** `join_token`, or what `join_token_file` holds. */
  readonly joinToken: string | undefined;
  readonly allowUnauthenticatedVerifiers: boolean;
  readonly allowedForeignJwtClaims: readonly string[];
  readonly authorizedDelegates: readonly SpiffeId[];
  readonly availabilityTargetSeconds: number | undefined;
  readonly disableSdsApi: boolean;
  readonly disableWorkloadApi: boolean;
  readonly workloadX509SvidKeyType: 'ec-p256' | 'ec-p384' | 'rsa-2048';
  readonly x509SvidCacheMaxSize: number;
  readonly jwtSvidCacheMaxSize: number;
  readonly log: LogConfig;
  /** Types of selector that may be logged, such as `k8s:ns`. */
  readonly logSelectors: readonly string[];
  readonly profiling: ProfilingConfig;
  readonly sds: SdsConfig;
  readonly experimental: AgentExperimentalConfig;
  /** In the order of the file, disabled ones too. */
  readonly plugins: readonly PluginConfig[];
  readonly telemetry: TelemetryConfig;
  readonly healthChecks: HealthChecksConfig;
  /** What works, but likely not as meant; to be logged at start. */
  readonly warnings: readonly string[];
}

/** Source: inventory C121 to C124. */
export interface SdsConfig {
  readonly defaultSvidName: string;
  readonly defaultBundleName: string;
  readonly defaultAllBundlesName: string;
  readonly disableSpiffeCertValidation: boolean;
}

export interface AgentExperimentalConfig {
  readonly syncIntervalSeconds: number;
  readonly useSyncAuthorizedEntries: boolean;
  readonly jwtSvidCacheHitTimeoutSeconds: number;
  readonly requirePqKem: boolean;
  readonly featureFlags: readonly string[];
  /** How often the workload of a stream is attested again, which SPIRE does not; 0: never. */
  readonly workloadReattestSeconds: number;
  /** Calls a second for one set of selectors; 0: no limit. */
  readonly ratelimit: WorkloadApiRateLimits;
  readonly broker: BrokerConfig | undefined;
}

export interface WorkloadApiRateLimits {
  readonly fetchX509Svid: number;
  readonly fetchJwtSvid: number;
  readonly fetchX509Bundles: number;
  readonly fetchJwtBundles: number;
  readonly streamSecrets: number;
  readonly fetchSecrets: number;
}

/** Source: inventory C130 to C134. */
export interface BrokerConfig {
  readonly socketPath: string | undefined;
  /** Port 0 is any that is free. */
  readonly bindAddress: { readonly host: string; readonly port: number } | undefined;
  readonly brokers: readonly {
    readonly id: SpiffeId;
    readonly allowedReferenceTypes: readonly { readonly typeUrl: string; readonly allowOverTcp: boolean }[];
  }[];
}

/** The flags of `agent run` that go before the file. Source: inventory A001. */
export interface AgentOverrides {
  readonly allowUnauthenticatedVerifiers?: boolean | undefined;
  readonly dataDir?: string | undefined;
  readonly disableSdsApi?: boolean | undefined;
  readonly disableWorkloadApi?: boolean | undefined;
  readonly insecureBootstrap?: boolean | undefined;
  readonly joinToken?: string | undefined;
  readonly joinTokenFile?: string | undefined;
  readonly logFile?: string | undefined;
  readonly logFormat?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logSourceLocation?: boolean | undefined;
  readonly rebootstrapDelay?: string | undefined;
  readonly rebootstrapMode?: string | undefined;
  readonly serverAddress?: string | undefined;
  readonly serverPort?: number | undefined;
  readonly socketPath?: string | undefined;
  readonly trustBundle?: string | undefined;
  readonly trustBundleFormat?: string | undefined;
  readonly trustBundleUrl?: string | undefined;
  readonly trustDomain?: string | undefined;
}

const OVERRIDDEN_KEYS: Readonly<Record<keyof AgentOverrides, readonly [key: string, flag: string]>> = {
  allowUnauthenticatedVerifiers: ['allow_unauthenticated_verifiers', '-allowUnauthenticatedVerifiers'],
  dataDir: ['data_dir', '-dataDir'],
  disableSdsApi: ['disable_sds_api', '-disableSDSAPI'],
  disableWorkloadApi: ['disable_workload_api', '-disableWorkloadAPI'],
  insecureBootstrap: ['insecure_bootstrap', '-insecureBootstrap'],
  joinToken: ['join_token', '-joinToken'],
  joinTokenFile: ['join_token_file', '-joinTokenFile'],
  logFile: ['log_file', '-logFile'],
  logFormat: ['log_format', '-logFormat'],
  logLevel: ['log_level', '-logLevel'],
  logSourceLocation: ['log_source_location', '-logSourceLocation'],
  rebootstrapDelay: ['rebootstrap_delay', '-rebootstrapDelay'],
  rebootstrapMode: ['rebootstrap_mode', '-rebootstrapMode'],
  serverAddress: ['server_address', '-serverAddress'],
  serverPort: ['server_port', '-serverPort'],
  socketPath: ['socket_path', '-socketPath'],
  trustBundle: ['trust_bundle_path', '-trustBundle'],
  trustBundleFormat: ['trust_bundle_format', '-trustBundleFormat'],
  trustBundleUrl: ['trust_bundle_url', '-trustBundleUrl'],
  trustDomain: ['trust_domain', '-trustDomain'],
};

export interface ReadAgentConfigOptions extends ReadFileOptions {
  readonly overrides?: AgentOverrides;
}

/**
 * Reads SPIRE's `agent.conf`, HCL or JSON.
 *
 * @throws SpiffeError `FILE_UNUSABLE` where the file, or the one of the join token, cannot be read; `CONFIG_INVALID`
 *   with every mistake, one a line
 */
export function readAgentConfig({ overrides = {}, ...options }: ReadAgentConfigOptions): AgentConfig {
  const given = toOverrides('agent', overrides, OVERRIDDEN_KEYS);
  const { value, blocks } = readConfigFile('agent', agentFile, options, given);
  return {
    ...toAgentConfig(value.agent),
    joinToken: readJoinToken(value.agent),
    plugins: blocks.map(({ plugin }) => plugin),
    telemetry: value.telemetry,
    healthChecks: value.health_checks,
    warnings: findWarnings(value.agent),
  };
}

type AgentSectionConfig = Omit<AgentConfig, 'joinToken' | 'plugins' | 'telemetry' | 'healthChecks' | 'warnings'>;

function toAgentConfig(raw: AgentSection): AgentSectionConfig {
  return {
    trustDomain: raw.trust_domain,
    dataDir: raw.data_dir ?? '.',
    serverAddress: raw.server_address.replace(/^\[(.*)\]$/, '$1'),
    serverPort: raw.server_port,
    socketPath: raw.socket_path ?? DEFAULT_AGENT_SOCKET_PATH,
    adminSocketPath: raw.admin_socket_path,
    trustBundleSource: toTrustBundleSource(raw),
    rebootstrapMode: raw.rebootstrap_mode ?? 'never',
    rebootstrapDelaySeconds: raw.rebootstrap_delay ?? 600,
    allowUnauthenticatedVerifiers: raw.allow_unauthenticated_verifiers,
    allowedForeignJwtClaims: raw.allowed_foreign_jwt_claims,
    authorizedDelegates: raw.authorized_delegates,
    availabilityTargetSeconds: raw.availability_target,
    disableSdsApi: raw.disable_sds_api,
    disableWorkloadApi: raw.disable_workload_api,
    workloadX509SvidKeyType: raw.workload_x509_svid_key_type ?? 'ec-p256',
    x509SvidCacheMaxSize: raw.x509_svid_cache_max_size || 1000,
    jwtSvidCacheMaxSize: raw.jwt_svid_cache_max_size || 1000,
    log: toLogConfig(raw),
    logSelectors: raw.log_selectors,
    profiling: toProfilingConfig(raw),
    sds: {
      defaultSvidName: raw.sds.default_svid_name ?? 'default',
      defaultBundleName: raw.sds.default_bundle_name ?? 'ROOTCA',
      defaultAllBundlesName: raw.sds.default_all_bundles_name ?? 'ALL',
      disableSpiffeCertValidation: raw.sds.disable_spiffe_cert_validation,
    },
    experimental: toExperimental(raw.experimental),
  };
}

const DEFAULT_REATTEST_SECONDS = 300;

function toExperimental(raw: AgentSection['experimental']): AgentExperimentalConfig {
  return {
    syncIntervalSeconds: raw.sync_interval || 5,
    useSyncAuthorizedEntries: raw.use_sync_authorized_entries ?? true,
    jwtSvidCacheHitTimeoutSeconds: raw.jwt_svid_cache_hit_timeout ?? 30,
    requirePqKem: raw.require_pq_kem,
    featureFlags: raw.feature_flags,
    workloadReattestSeconds: raw.workload_reattest_interval ?? DEFAULT_REATTEST_SECONDS,
    ratelimit: {
      fetchX509Svid: raw.ratelimit.fetch_x509_svid,
      fetchJwtSvid: raw.ratelimit.fetch_jwt_svid,
      fetchX509Bundles: raw.ratelimit.fetch_x509_bundles,
      fetchJwtBundles: raw.ratelimit.fetch_jwt_bundles,
      streamSecrets: raw.ratelimit.stream_secrets,
      fetchSecrets: raw.ratelimit.fetch_secrets,
    },
    broker: raw.broker && {
      socketPath: raw.broker.socket_path,
      bindAddress: raw.broker.bind_address,
      brokers: raw.broker.brokers.map((broker) => ({
        id: broker.id,
        allowedReferenceTypes: broker.allowed_reference_types.map((type) => ({
          typeUrl: type.type_url,
          allowOverTcp: type.allow_over_tcp,
        })),
      })),
    },
  };
}

function readJoinToken(raw: AgentSection): string | undefined {
  if (raw.join_token_file === undefined) return raw.join_token;
  const token = readOrRefuse(raw.join_token_file, 'correct agent.join_token_file').trim();
  if (token !== '') return token;
  throw configError([{ source: raw.join_token_file, path: '', message: 'the join token file is empty' }]);
}

function findWarnings(raw: AgentSection): readonly string[] {
  const warnings: string[] = [];
  if (raw.insecure_bootstrap) warnings.push('insecure_bootstrap is set: the first connection trusts whoever answers');
  if (raw.experimental.use_sync_authorized_entries !== undefined) {
    warnings.push('experimental.use_sync_authorized_entries is deprecated: remove it');
  }
  const { default_bundle_name: one = 'ROOTCA', default_all_bundles_name: all = 'ALL' } = raw.sds;
  if (one === all)
    warnings.push(`sds.default_bundle_name and sds.default_all_bundles_name are both "${one}": the second is ignored`);
  for (const name of raw.experimental.feature_flags) warnings.push(`feature flag "${name}" is experimental`);
  return warnings;
}
