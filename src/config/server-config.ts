import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { AuditSkip } from './audit-log-config.ts';
import type { RoleConfig } from './authorization-config.ts';
import { type ReadFileOptions, readConfigFile, readOrRefuse } from './config-file.ts';
import { type DatastoreConfig, datastoreConfig } from './datastore-config.ts';
import type { FederationConfig } from './federation-config.ts';
import type { HealthChecksConfig } from './health-config.ts';
import { type LogConfig, toLogConfig } from './log-config.ts';
import { parseConfig } from './parse-config.ts';
import type { PluginBlock, PluginConfig } from './plugins.ts';
import { type ProfilingConfig, toProfilingConfig } from './profiling-config.ts';
import { type ReadResult, readConfigTree } from './read-config.ts';
import { type ServerSection, serverFile } from './server-schema.ts';
import { findServerWarnings } from './server-warnings.ts';
import type { TelemetryConfig } from './telemetry-config.ts';
import { toOverrides } from './to-overrides.ts';

export type ServerKeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096';

/** A server's configuration with every default filled in. Source: inventory C001 to C071. */
export interface ServerConfig {
  readonly trustDomain: TrustDomain;
  readonly dataDir: string;
  readonly bindAddress: string;
  readonly bindPort: number;
  /** Whether other servers of this host may accept at the same address and port. */
  readonly bindReusePort: boolean;
  /** Absolute path of the admin API's socket. */
  readonly socketPath: string;
  readonly adminIds: readonly SpiffeId[];
  readonly auditLogEnabled: boolean;
  /** What the audit log leaves out. */
  readonly auditLogSkip: readonly AuditSkip[];
  /** Who is let in besides administrators and agents. */
  readonly roles: readonly RoleConfig[];
  readonly caKeyType: ServerKeyType;
  readonly jwtKeyType: ServerKeyType;
  /** What signs SVIDs: the CA's key in the key manager, or keys in memory below it. */
  readonly caSigning: 'key_manager' | 'intermediate';
  readonly caIntermediateTtlSeconds: number;
  readonly caSubject: CaSubjectConfig;
  readonly caTtlSeconds: number;
  readonly agentTtlSeconds: number;
  readonly defaultX509SvidTtlSeconds: number;
  readonly defaultJwtSvidTtlSeconds: number;
  readonly disableJwtSvids: boolean;
  readonly jwtIssuer: string | undefined;
  readonly log: LogConfig;
  readonly profiling: ProfilingConfig;
  readonly maxAttestedNodeInfoStalenessSeconds: number;
  readonly proxyProtocolTrustedCidrs: readonly string[];
  /** Absent: nodes whose SVID expired are kept. */
  readonly pruneAttestedNodes: PruneAttestedNodesConfig | undefined;
  readonly ratelimit: { readonly attestation: boolean; readonly signing: boolean };
  readonly federation: FederationConfig | undefined;
  readonly experimental: ServerExperimentalConfig;
  readonly datastore: DatastoreConfig;
  /** In the order of the file, disabled ones and the DataStore too. */
  readonly plugins: readonly PluginConfig[];
  readonly telemetry: TelemetryConfig;
  readonly healthChecks: HealthChecksConfig;
  /** What works, but likely not as meant; to be logged at start. */
  readonly warnings: readonly string[];
}

export interface CaSubjectConfig {
  readonly country: readonly string[];
  readonly organization: readonly string[];
  readonly commonName: string;
}

export interface PruneAttestedNodesConfig {
  readonly expiredForSeconds: number;
  readonly batchSize: number;
  /** Nodes that cannot attest again, too. */
  readonly includeTofuNodes: boolean;
}

export interface ServerExperimentalConfig {
  readonly agentSpiffeIdAsSelector: boolean;
  readonly cacheReloadIntervalSeconds: number;
  readonly fullCacheReloadIntervalSeconds: number;
  readonly eventsBasedCache: boolean;
  readonly pruneEventsOlderThanSeconds: number;
  readonly eventTimeoutSeconds: number;
  readonly requirePqKem: boolean;
  readonly witIssuer: string | undefined;
  readonly witKeyType: ServerKeyType;
  readonly featureFlags: readonly string[];
}

/** The flags of `server run` that go before the file. Source: inventory S001. */
export interface ServerOverrides {
  readonly bindAddress?: string | undefined;
  readonly bindPort?: number | undefined;
  readonly dataDir?: string | undefined;
  readonly logFile?: string | undefined;
  readonly logFormat?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logSourceLocation?: boolean | undefined;
  readonly socketPath?: string | undefined;
  readonly trustDomain?: string | undefined;
}

const OVERRIDDEN_KEYS: Readonly<Record<keyof ServerOverrides, readonly [key: string, flag: string]>> = {
  bindAddress: ['bind_address', '-bindAddress'],
  bindPort: ['bind_port', '-serverPort'],
  dataDir: ['data_dir', '-dataDir'],
  logFile: ['log_file', '-logFile'],
  logFormat: ['log_format', '-logFormat'],
  logLevel: ['log_level', '-logLevel'],
  logSourceLocation: ['log_source_location', '-logSourceLocation'],
  socketPath: ['socket_path', '-socketPath'],
  trustDomain: ['trust_domain', '-trustDomain'],
};

export interface ReadServerConfigOptions extends ReadFileOptions {
  readonly overrides?: ServerOverrides;
}

const DEFAULT_SOCKET_PATH = '/tmp/spire-server/private/api.sock';

/**
 * Reads SPIRE's `server.conf`, HCL or JSON.
 *
 * @throws SpiffeError `FILE_UNUSABLE` where the file cannot be read; `CONFIG_INVALID` with every mistake, one a line
 */
export function readServerConfig({ overrides = {}, ...options }: ReadServerConfigOptions): ServerConfig {
  let datastore: DatastoreConfig | undefined;
  const { value, blocks } = readConfigFile(
    'server',
    serverFile,
    options,
    toOverrides('server', overrides, OVERRIDDEN_KEYS),
    (found) => {
      const read = readDatastore(found, options.path);
      datastore = read.value;
      return read.problems;
    },
  );
  if (datastore === undefined) throw new Error('a configuration without problems has a DataStore');
  const config: Omit<ServerConfig, 'warnings'> = {
    ...toServerConfig(value.server),
    datastore,
    plugins: blocks.map(({ plugin }) => plugin),
    telemetry: value.telemetry,
    healthChecks: value.health_checks,
  };
  return { ...config, warnings: findServerWarnings(config, value.server) };
}

function toServerConfig(
  raw: ServerSection,
): Omit<ServerConfig, 'warnings' | 'datastore' | 'plugins' | 'telemetry' | 'healthChecks'> {
  const caKeyType = raw.ca_key_type ?? 'ec-p256';
  const defaultX509SvidTtlSeconds = raw.default_x509_svid_ttl || 3600;
  return {
    trustDomain: raw.trust_domain,
    dataDir: raw.data_dir,
    bindAddress: raw.bind_address?.replace(/^\[(.*)\]$/, '$1') ?? '0.0.0.0',
    bindPort: raw.bind_port ?? 8081,
    bindReusePort: raw.bind_reuse_port,
    socketPath: raw.socket_path ?? DEFAULT_SOCKET_PATH,
    adminIds: raw.admin_ids,
    auditLogEnabled: raw.audit_log_enabled,
    auditLogSkip: raw.audit_log,
    roles: raw.authorization ?? [],
    caKeyType,
    jwtKeyType: raw.jwt_key_type ?? caKeyType,
    caSigning: raw.ca_signing ?? 'key_manager',
    caIntermediateTtlSeconds: raw.ca_intermediate_ttl || 28_800,
    caSubject: toCaSubject(raw.ca_subject),
    caTtlSeconds: raw.ca_ttl || 86_400,
    agentTtlSeconds: raw.agent_ttl || defaultX509SvidTtlSeconds,
    defaultX509SvidTtlSeconds,
    defaultJwtSvidTtlSeconds: raw.default_jwt_svid_ttl || 300,
    disableJwtSvids: raw.disable_jwt_svids,
    jwtIssuer: raw.jwt_issuer,
    log: toLogConfig(raw),
    profiling: toProfilingConfig(raw),
    maxAttestedNodeInfoStalenessSeconds: raw.max_attested_node_info_staleness ?? 0,
    proxyProtocolTrustedCidrs: raw.proxy_protocol_trusted_cidrs,
    pruneAttestedNodes: raw.prune_attested_nodes_expired_for
      ? {
          expiredForSeconds: raw.prune_attested_nodes_expired_for,
          batchSize: raw.prune_attested_nodes_batch_size || 1000,
          includeTofuNodes: raw.prune_tofu_nodes,
        }
      : undefined,
    ratelimit: raw.ratelimit,
    federation: raw.federation,
    experimental: toExperimental(raw.experimental, caKeyType),
  };
}

/** Without names, the subject that SPIRE gives: RFC 5280 §4.1.2.4 wants an issuer that is not empty. */
function toCaSubject(raw: ServerSection['ca_subject']): CaSubjectConfig {
  const subject = {
    country: raw?.country ?? [],
    organization: raw?.organization ?? [],
    commonName: raw?.common_name ?? '',
  };
  const isEmpty = subject.country.length === 0 && subject.organization.length === 0 && subject.commonName === '';
  return isEmpty ? { country: ['US'], organization: ['SPIFFE'], commonName: '' } : subject;
}

function toExperimental(raw: ServerSection['experimental'], caKeyType: ServerKeyType): ServerExperimentalConfig {
  return {
    agentSpiffeIdAsSelector: raw.agent_spiffe_id_as_selector,
    cacheReloadIntervalSeconds: raw.cache_reload_interval || 5,
    fullCacheReloadIntervalSeconds: raw.full_cache_reload_interval || 86_400,
    eventsBasedCache: raw.events_based_cache,
    pruneEventsOlderThanSeconds: raw.prune_events_older_than || 43_200,
    eventTimeoutSeconds: raw.event_timeout || raw.sql_transaction_timeout || 900,
    requirePqKem: raw.require_pq_kem,
    witIssuer: raw.wit_issuer,
    witKeyType: raw.wit_key_type ?? caKeyType,
    featureFlags: raw.feature_flags,
  };
}

/** Nothing, and no problem, where no DataStore is counted: that is a problem of its own. */
function readDatastore(blocks: readonly PluginBlock[], source: string): ReadResult<DatastoreConfig | undefined> {
  const block = blocks.find(({ plugin }) => plugin.type === 'DataStore' && plugin.name === 'sql' && plugin.enabled);
  if (block === undefined) return { value: undefined, problems: [] };
  const { data } = block.plugin;
  if (data === undefined || 'text' in data) {
    return readConfigTree(datastoreConfig, block.data, { source, path: 'plugins.DataStore.sql.plugin_data' });
  }
  const text = readOrRefuse(data.file, 'correct plugin_data_file of the DataStore');
  return readConfigTree(datastoreConfig, parseConfig(text, data.file), { source: data.file });
}
