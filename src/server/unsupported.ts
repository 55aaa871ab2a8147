import type { ServerConfig } from '../config/server-config.ts';
import type { TelemetryConfig } from '../config/telemetry-config.ts';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * Keys of the configuration that are set and that nothing comes of yet.
 *
 * @throws SpiffeError `CONFIG_INVALID` for one without which no connection would work.
 */
export function findUnsupported(config: ServerConfig): readonly string[] {
  if (config.proxyProtocolTrustedCidrs.length > 0) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      'server.proxy_protocol_trusted_cidrs: this version does not speak the PROXY protocol, remove the key and let the proxy pass connections on as they are',
    );
  }
  const set: Readonly<Record<string, boolean>> = {
    'server.audit_log_enabled': config.auditLogEnabled,
    'server.federation': config.federation !== undefined,
    'server.profiling_enabled': config.profiling.enabled,
    health_checks: config.healthChecks.listenerEnabled,
    telemetry: hasSink(config.telemetry),
  };
  return Object.keys(set).filter((key) => set[key]);
}

function hasSink({ prometheus, dogStatsd, statsd, m3 }: TelemetryConfig): boolean {
  return prometheus !== undefined || dogStatsd.length + statsd.length + m3.length > 0;
}
