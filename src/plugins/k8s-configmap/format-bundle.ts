import { type Bundle, formatBundleDocument, formatBundleJwks, formatBundlePem } from '../../plugin-sdk/index.ts';
import type { ConfigMapClusterConfig } from './config.ts';

/** What stands under a key of a ConfigMap. */
export function formatBundle(bundle: Bundle, { format, refresh_hint: hint = 0 }: ConfigMapClusterConfig): string {
  switch (format) {
    case 'spiffe':
      return formatBundleDocument({ ...bundle, refreshHintSeconds: hint || bundle.refreshHintSeconds });
    case 'jwks':
      return formatBundleJwks(bundle);
    case 'pem':
      return formatBundlePem(bundle);
  }
}
