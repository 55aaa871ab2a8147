import { flag, optionalText, z } from '../../plugin-sdk/index.ts';
import { clusterName } from './cluster-name.ts';
import { DEFAULTS } from './defaults.ts';

/** Names as RFC 1123 has them. */
const ACCOUNT = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?:[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const account = z.string().regex(ACCOUNT, {
  error: 'must be a namespace and the name of a service account, such as "spire:spire-agent"',
});
const labelKeys = z.array(z.string().min(1)).default([]);

const cluster = z.strictObject({
  service_account_allow_list: z
    .array(account)
    .min(1, { error: 'must name a service account: without one no agent would be let in' }),
  audience: z
    .array(z.string().min(1, { error: 'must not be empty: leave the whole list empty for the API server’s own' }))
    .default(DEFAULTS.audiences),
  kube_config_file: optionalText,
  allowed_node_label_keys: labelKeys,
  allowed_pod_label_keys: labelKeys,
  use_pod_uid_for_agent_id: flag,
});
export type PsatClusterConfig = z.output<typeof cluster>;

/** `plugin_data` of the server's half: docs/plugins/k8s-psat.md. */
export const psatServerConfig = z.strictObject({
  clusters: z
    .record(z.string(), cluster)
    .superRefine((clusters, context) => {
      for (const name of Object.keys(clusters)) {
        const { error } = clusterName.safeParse(name);
        for (const { message } of error?.issues ?? []) context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .default({}),
});
export type PsatServerConfig = z.output<typeof psatServerConfig>;
