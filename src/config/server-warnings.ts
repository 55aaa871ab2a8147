import { formatDurationSeconds } from './duration.ts';
import type { ServerConfig } from './server-config.ts';
import type { ServerSection } from './server-schema.ts';

/** A CA is replaced at 5/6 of its life, so what it signs must fit in the last sixth. Source: inventory B001. */
const CA_LIFE_PER_SVID_LIFE = 6;
/** The last sixth of a CA's life counts for seven days at most. */
const MAX_SVID_TTL_SECONDS = 7 * 86_400;

/** What the configuration says that is allowed, and likely not meant. */
export function findServerWarnings(config: Omit<ServerConfig, 'warnings'>, raw: ServerSection): readonly string[] {
  const warnings = [
    ...ttlWarnings('default_x509_svid_ttl', config.defaultX509SvidTtlSeconds, config.caTtlSeconds),
    ...ttlWarnings('default_jwt_svid_ttl', config.defaultJwtSvidTtlSeconds, config.caTtlSeconds),
  ];
  if (raw.agent_ttl) warnings.push(...ttlWarnings('agent_ttl', raw.agent_ttl, config.caTtlSeconds));
  warnings.push(...intermediateWarnings(config, raw));
  const subject = raw.ca_subject;
  if (subject && subject.country.length + subject.organization.length === 0 && subject.common_name === undefined) {
    warnings.push('ca_subject is empty: the default subject is used');
  }
  const endpoint = config.federation?.bundleEndpoint;
  if (endpoint) {
    warnings.push(...endpoint.deprecations);
    if (endpoint.refreshHintSeconds >= 86_400) {
      warnings.push('federation.bundle_endpoint.refresh_hint is a day or more: changes reach others late, 5m is usual');
    }
    if (endpoint.refreshHintSeconds < 60) {
      warnings.push(
        'federation.bundle_endpoint.refresh_hint is below 1m: nobody refreshes more often than every minute',
      );
    }
  }
  if (raw.experimental.sql_transaction_timeout !== undefined) {
    warnings.push('experimental.sql_transaction_timeout is deprecated: use experimental.event_timeout');
  }
  for (const name of raw.experimental.feature_flags) warnings.push(`feature flag "${name}" is experimental`);
  return warnings;
}

/** An intermediate CA is replaced at half of its life, so what it signs must fit in the other half. */
function intermediateWarnings(config: Omit<ServerConfig, 'warnings'>, raw: ServerSection): readonly string[] {
  if (config.caSigning !== 'intermediate') {
    return raw.ca_intermediate_ttl === undefined
      ? []
      : ['ca_intermediate_ttl has no effect without ca_signing = "intermediate"'];
  }
  const most = config.caIntermediateTtlSeconds / 2;
  const ttls = { default_x509_svid_ttl: config.defaultX509SvidTtlSeconds, agent_ttl: config.agentTtlSeconds };
  return Object.entries(ttls).flatMap(([name, ttlSeconds]) =>
    ttlSeconds <= most
      ? []
      : [
          `${name} is too high for a ca_intermediate_ttl of ${formatDurationSeconds(config.caIntermediateTtlSeconds)}, SVIDs may get shorter lives: ` +
            `set ${name} to ${formatDurationSeconds(most)} or less, or ca_intermediate_ttl to ${formatDurationSeconds(ttlSeconds * 2)} or more`,
        ],
  );
}

function ttlWarnings(name: string, ttlSeconds: number, caTtlSeconds: number): readonly string[] {
  const most = Math.min(caTtlSeconds / CA_LIFE_PER_SVID_LIFE, MAX_SVID_TTL_SECONDS);
  if (ttlSeconds <= most) return [];
  const advice = [`set ${name} to ${formatDurationSeconds(most)} or less`];
  if (ttlSeconds < MAX_SVID_TTL_SECONDS) {
    advice.push(`or ca_ttl to ${formatDurationSeconds(ttlSeconds * CA_LIFE_PER_SVID_LIFE)} or more`);
  }
  return [
    `${name} is too high for a ca_ttl of ${formatDurationSeconds(caTtlSeconds)}, SVIDs may get shorter lives: ${advice.join(', ')}`,
  ];
}
