import { dirname } from 'node:path';
import { z } from 'zod';
import { sharedSections } from './config-file.ts';
import {
  choice,
  duration,
  flag,
  onEveryBlock,
  optionalText,
  orUnset,
  refused,
  requiredPort,
  requiredText,
  socketPath,
  spiffeIdText,
  textList,
  trustDomainText,
  wholeNumber,
} from './fields.ts';
import { logFields } from './log-config.ts';
import { profilingFields } from './profiling-config.ts';
import { featureFlags } from './server-schema.ts';
import { findTrustBundleSourceProblems } from './trust-bundle-source.ts';

/** SVIDs that are replaced early enough for an outage this long. Source: inventory C105. */
const MIN_AVAILABILITY_TARGET_SECONDS = 86_400;

const allowedReferenceTypes = z
  .array(z.strictObject({ type_url: requiredText, allow_over_tcp: flag }))
  .min(1)
  .refine((types) => types.length === 1 || !types.some(({ type_url }) => type_url === '*'), {
    error: 'the type_url "*" allows every type: it must be the only one',
  });

const hostAndPort = z.string().transform((text, ctx) => {
  const [, ipv6, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? plain;
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  ctx.addIssue(`"${text}" must be an address and a port, such as "127.0.0.1:8443" or "[::1]:8443"`);
  return z.NEVER;
});

const broker = z
  .strictObject({
    socket_path: orUnset(socketPath),
    bind_address: orUnset(hostAndPort),
    brokers: z.array(z.strictObject({ id: spiffeIdText, allowed_reference_types: allowedReferenceTypes })).default([]),
  })
  .superRefine((raw, ctx) => {
    if (raw.socket_path === undefined && raw.bind_address === undefined) {
      ctx.addIssue('needs "socket_path", "bind_address" or both');
    }
    const ids = Array.isArray(raw.brokers) ? raw.brokers.map(({ id }) => id) : [];
    for (const [index, id] of ids.entries()) {
      if (ids.indexOf(id) === index) continue;
      ctx.addIssue({
        code: 'custom',
        path: ['brokers', index, 'id'],
        message: 'names a broker that is listed before',
      });
    }
  }, onEveryBlock);

const limit = wholeNumber.default(0);

const agentExperimental = z.strictObject({
  admin_named_pipe_name: refused('named pipes are for Windows: use agent.admin_socket_path'),
  broker: broker.optional(),
  feature_flags: featureFlags,
  jwt_svid_cache_hit_timeout: orUnset(
    duration.refine((seconds) => seconds >= 5 && seconds <= 30, { error: 'must be from 5s to 30s' }),
  ),
  named_pipe_name: refused('named pipes are for Windows: use agent.socket_path'),
  ratelimit: z
    .strictObject({
      fetch_x509_svid: limit,
      fetch_jwt_svid: limit,
      fetch_x509_bundles: limit,
      fetch_jwt_bundles: limit,
      stream_secrets: limit,
      fetch_secrets: limit,
    })
    .prefault({}),
  require_pq_kem: flag,
  sync_interval: orUnset(duration),
  use_sync_authorized_entries: z.boolean().optional(),
  workload_reattest_interval: orUnset(
    duration.refine((seconds) => seconds === 0 || (seconds >= 1 && seconds <= 86_400), {
      error: 'must be from 1s to 24h, or 0s for never',
    }),
  ),
});

const sds = z.strictObject({
  default_svid_name: optionalText,
  default_bundle_name: optionalText,
  default_all_bundles_name: optionalText,
  disable_spiffe_cert_validation: flag,
});

/** The items of a list that is one; those that could not be read are left out. */
function membersOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}

/** Where the Workload API is served without `socket_path`. */
export const DEFAULT_AGENT_SOCKET_PATH = '/tmp/spire-agent/public/api.sock';

/** The section `agent` with the file's names. Source: inventory C072 to C136. */
export const agentSection = z
  .strictObject({
    admin_socket_path: orUnset(socketPath),
    allow_unauthenticated_verifiers: flag,
    allowed_foreign_jwt_claims: textList,
    authorized_delegates: z.array(spiffeIdText).default([]),
    availability_target: orUnset(
      duration.refine((seconds) => seconds >= MIN_AVAILABILITY_TARGET_SECONDS, { error: 'must be 24h at least' }),
    ),
    data_dir: optionalText,
    disable_sds_api: flag,
    disable_workload_api: flag,
    experimental: agentExperimental.prefault({}),
    insecure_bootstrap: flag,
    join_token: optionalText,
    join_token_file: optionalText,
    jwt_svid_cache_max_size: wholeNumber.default(0),
    ...logFields,
    log_selectors: textList,
    log_source_location: flag,
    ...profilingFields,
    rebootstrap_delay: orUnset(duration),
    rebootstrap_mode: orUnset(choice(['never', 'auto', 'always'])),
    sds: sds.prefault({}),
    server_address: requiredText,
    server_port: requiredPort,
    socket_path: orUnset(socketPath),
    trust_bundle_format: orUnset(choice(['pem', 'spiffe'])),
    trust_bundle_path: optionalText,
    trust_bundle_spiffe_workload_api: optionalText,
    trust_bundle_unix_socket: optionalText,
    trust_bundle_url: optionalText,
    trust_domain: z.preprocess((value) => (value === '' ? undefined : value), trustDomainText),
    workload_x509_svid_key_type: orUnset(choice(['ec-p256', 'ec-p384', 'rsa-2048'])),
    x509_svid_cache_max_size: wholeNumber.default(0),
  })
  .superRefine((raw, ctx) => {
    for (const message of findTrustBundleSourceProblems(raw)) ctx.addIssue(message);
    if (raw.join_token !== undefined && raw.join_token_file !== undefined) {
      ctx.addIssue('only one of join_token and join_token_file can be specified, not both');
    }
    if (raw.insecure_bootstrap === true && raw.rebootstrap_mode !== undefined && raw.rebootstrap_mode !== 'never') {
      ctx.addIssue('insecure_bootstrap cannot be used with a rebootstrap_mode other than "never"');
    }
    for (const [index, id] of membersOf(raw.authorized_delegates).entries()) {
      if (typeof raw.trust_domain !== 'string' || id.startsWith(`spiffe://${raw.trust_domain}/`)) continue;
      const message = `${id} is not a member of trust domain "${raw.trust_domain}"`;
      ctx.addIssue({ code: 'custom', path: ['authorized_delegates', index], message });
    }
    if (raw.disable_workload_api === true && raw.disable_sds_api === true) return;
    const publicFolder = `${dirname(typeof raw.socket_path === 'string' ? raw.socket_path : DEFAULT_AGENT_SOCKET_PATH)}/`;
    const others: readonly (readonly [path: string[], socket: string | undefined])[] = [
      [['admin_socket_path'], raw.admin_socket_path],
      [['experimental', 'broker', 'socket_path'], raw.experimental?.broker?.socket_path],
    ];
    for (const [path, socket] of others) {
      if (typeof socket !== 'string' || !socket.startsWith(publicFolder)) continue;
      const message = `${socket} is in the folder of the Workload API's socket or below: put it into another folder`;
      ctx.addIssue({ code: 'custom', path, message });
    }
  }, onEveryBlock);
export type AgentSection = z.output<typeof agentSection>;

export const agentFile = z.strictObject({ agent: agentSection, ...sharedSections });
