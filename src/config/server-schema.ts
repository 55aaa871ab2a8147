import { z } from 'zod';
import { auditLogConfig } from './audit-log-config.ts';
import { authorizationConfig, authorizationProblems } from './authorization-config.ts';
import { sharedSections } from './config-file.ts';
import { federationConfig } from './federation-config.ts';
import {
  choice,
  cidr,
  duration,
  flag,
  onEveryBlock,
  optionalPort,
  optionalText,
  orUnset,
  refused,
  requiredText,
  socketPath,
  spiffeIdText,
  textList,
  trustDomainText,
  wholeNumber,
} from './fields.ts';
import { logFields } from './log-config.ts';
import { profilingFields } from './profiling-config.ts';

export const keyType = choice(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096']);
const caSigning = choice(['key_manager', 'intermediate']);
export const featureFlags = z.array(choice(['wit-svid'])).default([]);

const caSubject = z.strictObject({ country: textList, organization: textList, common_name: optionalText });

const serverExperimental = z
  .strictObject({
    agent_spiffe_id_as_selector: flag,
    cache_reload_interval: orUnset(duration),
    full_cache_reload_interval: orUnset(duration),
    events_based_cache: flag,
    prune_events_older_than: orUnset(duration),
    event_timeout: orUnset(duration),
    sql_transaction_timeout: orUnset(duration),
    auth_opa_policy_engine: refused(
      "Rego policies are not supported: remove the block for SPIRE's default policy, and say in server.authorization whom else to let in, by roles (docs/server/authorization.md)",
    ),
    named_pipe_name: refused('named pipes are for Windows: use server.socket_path'),
    require_pq_kem: flag,
    wit_issuer: optionalText,
    wit_key_type: orUnset(keyType),
    feature_flags: featureFlags,
  })
  .superRefine((raw, ctx) => {
    if (raw.event_timeout !== undefined && raw.sql_transaction_timeout !== undefined) {
      ctx.addIssue('event_timeout and sql_transaction_timeout are both set: keep event_timeout');
    }
  }, onEveryBlock);

/** The section `server` with the file's names. Source: inventory C001 to C071. */
export const serverSection = z
  .strictObject({
    admin_ids: z.array(spiffeIdText).default([]),
    agent_ttl: orUnset(duration),
    audit_log_enabled: flag,
    audit_log: auditLogConfig,
    authorization: authorizationConfig.optional(),
    bind_address: optionalText,
    bind_port: optionalPort,
    bind_reuse_port: flag,
    ca_intermediate_ttl: orUnset(duration),
    ca_key_type: orUnset(keyType),
    ca_signing: orUnset(caSigning),
    ca_subject: caSubject.optional(),
    ca_ttl: orUnset(duration),
    data_dir: requiredText,
    default_x509_svid_ttl: orUnset(duration),
    default_jwt_svid_ttl: orUnset(duration),
    disable_jwt_svids: flag,
    experimental: serverExperimental.prefault({}),
    federation: federationConfig.optional(),
    jwt_issuer: optionalText,
    jwt_key_type: orUnset(keyType),
    ...logFields,
    log_source_location: flag,
    max_attested_node_info_staleness: orUnset(duration),
    ...profilingFields,
    proxy_protocol_trusted_cidrs: z.array(cidr).default([]),
    prune_attested_nodes_batch_size: wholeNumber.default(0),
    prune_attested_nodes_expired_for: orUnset(duration),
    prune_tofu_nodes: flag,
    ratelimit: z
      .strictObject({ attestation: z.boolean().default(true), signing: z.boolean().default(true) })
      .prefault({}),
    socket_path: orUnset(socketPath),
    trust_domain: z.preprocess((value) => (value === '' ? undefined : value), trustDomainText),
  })
  .superRefine((raw, ctx) => {
    if (!Array.isArray(raw.authorization) || typeof raw.trust_domain !== 'string') return;
    for (const { path, message } of authorizationProblems(raw.authorization, raw.trust_domain)) {
      ctx.addIssue({ code: 'custom', path: [...path], message });
    }
  });
export type ServerSection = z.output<typeof serverSection>;

export const serverFile = z.strictObject({ server: serverSection, ...sharedSections });
