import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { clustersManifest } from '../kubernetes/manifest.ts';

export function configMapManifest(data: string): SandboxManifest {
  return clustersManifest(data, 'kubeconfig_path');
}
