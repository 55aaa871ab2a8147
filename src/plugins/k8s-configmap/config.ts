import { choice, durationMs, flag, optionalText, orUnset, z } from '../../plugin-sdk/index.ts';
import { namespaceName, objectName } from '../kubernetes/object-names.ts';

/** Of a ConfigMap's data. Source: Kubernetes API v1, ConfigMap. */
const dataKey = z.string().regex(/^(?!\.{1,2}$)[-._a-zA-Z0-9]{1,253}$/, {
  error: 'must be a key of a ConfigMap: letters, digits, "-", "_" and "."',
});

const cluster = z.strictObject({
  configmap_name: objectName,
  configmap_key: dataKey,
  namespace: namespaceName,
  kubeconfig_path: optionalText,
  format: choice(['spiffe', 'jwks', 'pem']),
  /** Of the format `spiffe`, in whole seconds; the bundle's own where it is not given. */
  refresh_hint: orUnset(durationMs.transform((ms) => Math.trunc(ms / 1000))),
  /** Takes the key away from whoever else has set it. */
  force_conflicts: flag,
});
export type ConfigMapClusterConfig = z.output<typeof cluster>;

/** `plugin_data`: docs/plugins/k8s-configmap.md. */
export const configMapConfig = z.strictObject({
  clusters: z
    .record(z.string(), cluster)
    .superRefine((clusters, context) => {
      const seen = new Map<string, string>();
      for (const [id, config] of Object.entries(clusters)) {
        const place = JSON.stringify([placeOf(config), config.configmap_key]);
        const other = seen.get(place);
        if (other !== undefined) {
          const message = `is the same key of the same ConfigMap as that of "${other}": keep one of them, or give it another key`;
          context.addIssue({ code: 'custom', path: [id, 'configmap_key'], message });
        }
        seen.set(place, id);
      }
    })
    .default({}),
});
export type ConfigMapConfig = z.output<typeof configMapConfig>;

/** Which ConfigMap a cluster of the configuration means. */
export function placeOf({ kubeconfig_path, namespace, configmap_name }: ConfigMapClusterConfig): string {
  return JSON.stringify([kubeconfig_path ?? null, namespace, configmap_name]);
}
