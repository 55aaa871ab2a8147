import type { ServerConfig } from '../config/server-config.ts';
import type { TelemetryConfig } from '../config/telemetry-config.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** Loaded and told nothing yet. */
const UNUSED_TYPES: readonly string[] = ['Notifier', 'BundlePublisher', 'CredentialComposer'];

/**
 * Keys of the configuration that are set and that nothing comes of yet.
 *
 * @throws SpiffeError `CONFIG_INVALID` for one that decides who is connected or what is trusted.
 */
export function findUnsupported(config: ServerConfig): readonly string[] {
  if (config.proxyProtocolTrustedCidrs.length > 0) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      'server.proxy_protocol_trusted_cidrs: this version does not speak the PROXY protocol, remove the key and let the proxy pass connections on as they are',
    );
  }
  const plugins = config.plugins.filter(({ enabled }) => enabled);
  const upstream = plugins.find(({ type }) => type === 'UpstreamAuthority');
  if (upstream !== undefined) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `plugins.UpstreamAuthority.${upstream.name}: this version signs its own authority only, remove the plugin or set enabled = false`,
    );
  }
  const unused = plugins.filter(({ type }) => UNUSED_TYPES.includes(type));
  const set: Readonly<Record<string, boolean>> = {
    'server.audit_log_enabled': config.auditLogEnabled,
    'server.federation': config.federation !== undefined,
    'server.profiling_enabled': config.profiling.enabled,
    health_checks: config.healthChecks.listenerEnabled,
    telemetry: hasSink(config.telemetry),
  };
  return [...Object.keys(set).filter((key) => set[key]), ...unused.map(({ type, name }) => `plugins.${type}.${name}`)];
}

function hasSink({ prometheus, dogStatsd, statsd, m3 }: TelemetryConfig): boolean {
  return prometheus !== undefined || dogStatsd.length + statsd.length + m3.length > 0;
}
