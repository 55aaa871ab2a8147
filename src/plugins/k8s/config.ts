import { durationMs, flag, optionalPort, optionalText, orUnset, refused, z } from '../../plugin-sdk/index.ts';
import { DEFAULTS } from './defaults.ts';

const MAX_ATTEMPTS = 10_000;

const noSigstore = refused(
  'signatures of images are not verified here: leave it out, and use no image-signature selectors',
);
const noApiServer = (what: string) =>
  refused(`${what} needs the API server, which this plugin does not ask: it asks the kubelet alone, so leave it out`);
/** Switched off is what it is. */
const neverOn = (sentence: string) =>
  z
    .boolean()
    .refine((on) => !on, { error: sentence })
    .default(false);

/** A DNS subdomain or an IP address: it becomes the host of a URL. */
export const nodeName = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$|^[0-9a-f:]{2,39}$/, {
    error: 'must be the name of a node, which has lower case letters, digits, "-" and "."',
  });

export const k8sConfig = z
  .strictObject({
    kubelet_secure_port: optionalPort,
    kubelet_read_only_port: optionalPort,
    kubelet_ca_path: optionalText,
    skip_kubelet_verification: flag,
    token_path: optionalText,
    certificate_path: optionalText,
    private_key_path: optionalText,
    use_anonymous_authentication: flag,
    node_name_env: orUnset(
      z.string().regex(/^[A-Za-z_]\w*$/, { error: 'must be the name of an environment variable' }),
    ),
    node_name: orUnset(nodeName),
    max_poll_attempts: z.preprocess(
      (value) => (value === 0 ? undefined : value),
      z.int().min(1).max(MAX_ATTEMPTS).default(DEFAULTS.attempts),
    ),
    poll_retry_interval: orUnset(positive(durationMs)),
    reload_interval: orUnset(positive(durationMs)),
    cgroup_root: orUnset(
      z.string().regex(/^(?:\/[\w.@:-]+)+$/, {
        error: 'must be the path of the cgroup that "kubepods" is in, as /proc/PID/cgroup has it, such as "/custom"',
      }),
    ),
    disable_container_selectors: flag,
    verbose_container_locator_logs: flag,
    use_new_container_locator: z
      .boolean()
      .refine((on) => on, { error: 'there is one way here to find a container, the new one: leave it out' })
      .default(true),
    enable_namespace_labels: neverOn(
      'labels of namespaces are the API server’s to tell, which this plugin does not ask: leave it out, and use ns selectors',
    ),
    disable_kubelet_client: neverOn('the kubelet is all that this plugin asks: without it, leave the plugin out'),
    api_server: noApiServer('it'),
    broker: refused('references to pods are not taken here, only processes: leave it out'),
    sigstore: noSigstore,
    experimental: z.strictObject({ sigstore: noSigstore }).prefault({}),
  })
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    const { certificate_path: certificate, private_key_path: key, kubelet_read_only_port: readOnlyPort } = config;
    if (readOnlyPort !== undefined && config.kubelet_secure_port !== undefined) {
      refuse('kubelet_read_only_port', 'and kubelet_secure_port exclude each other: keep one of them');
    }
    if (certificate !== undefined && key === undefined) {
      refuse('private_key_path', 'is required where certificate_path is given');
    }
    if (key !== undefined && certificate === undefined) {
      refuse('certificate_path', 'is required where private_key_path is given');
    }
  });
export type K8sConfig = z.infer<typeof k8sConfig>;

function positive(schema: typeof durationMs) {
  return schema.refine((ms) => ms > 0, { error: 'must be more than nothing, such as "500ms"' });
}
