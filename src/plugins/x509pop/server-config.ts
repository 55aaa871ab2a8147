import { agentPathTemplate, choice, flag, optionalText, z } from '../../plugin-sdk/index.ts';
import { TEMPLATE_FIELDS, TEMPLATE_PATHS } from './template-values.ts';

const path = z.string().min(1, { error: 'must be the path of PEM certificates' });
const DEFAULT_PREFIX = '/spire-exchange/';
const template = { fields: TEMPLATE_FIELDS, paths: TEMPLATE_PATHS };
const DEFAULT_TEMPLATE = { external_pki: '{{ .Fingerprint }}', spiffe: '{{ .SVIDPathTrimmed }}' } as const;

/** `plugin_data` of the server's `x509pop` node attestor: docs/plugins/x509pop.md. */
export const popServerConfig = z
  .strictObject({
    mode: choice(['external_pki', 'spiffe']).default('external_pki'),
    /** SPIRE's documentation has this name. */
    svid_prefix: z.string().optional(),
    /** SPIRE's program has this one. */
    spiffe_prefix: z.string().optional(),
    ca_bundle_path: optionalText,
    ca_bundle_paths: z.array(path).default([]),
    agent_path_template: optionalText,
    max_intermediates: z.int().min(1, { error: 'must be greater than 0' }).max(32).default(4),
    max_rsa_key_size: z.int().min(1, { error: 'must be greater than 0' }).default(8192),
    verify_client_ip: flag,
  })
  .transform((raw, ctx) => {
    const { svid_prefix, spiffe_prefix, ca_bundle_path, ca_bundle_paths, ...others } = raw;
    const refuse = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    const paths = ca_bundle_path === undefined ? ca_bundle_paths : [ca_bundle_path];
    if (ca_bundle_path !== undefined && ca_bundle_paths.length > 0) {
      refuse('ca_bundle_path', 'is given beside "ca_bundle_paths": keep one of them');
    }
    if (raw.mode === 'external_pki' && paths.length === 0) {
      refuse('ca_bundle_path', 'is needed: without it or "ca_bundle_paths" no certificate would be trusted');
    }
    if (raw.mode === 'spiffe' && paths.length > 0) {
      refuse('ca_bundle_path', 'has no place in the mode "spiffe", which trusts the bundle of this trust domain alone');
    }
    if (svid_prefix !== undefined && spiffe_prefix !== undefined && svid_prefix !== spiffe_prefix) {
      refuse('svid_prefix', 'differs from "spiffe_prefix", which means the same: keep one of them');
    }
    const read = agentPathTemplate(`/{{ .PluginName }}/${DEFAULT_TEMPLATE[raw.mode]}`, template);
    const parsed = read.safeParse(raw.agent_path_template);
    for (const { message } of parsed.error?.issues ?? []) refuse('agent_path_template', message);
    if (parsed.data === undefined) return z.NEVER;
    const prefix = svid_prefix ?? spiffe_prefix ?? DEFAULT_PREFIX;
    return {
      ...others,
      agent_path_template: parsed.data,
      ca_bundle_paths: paths,
      svid_prefix: prefix.endsWith('/') ? prefix : `${prefix}/`,
    };
  });
export type PopServerConfig = z.output<typeof popServerConfig>;
