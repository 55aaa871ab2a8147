import { dirname, resolve } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { clustersManifest } from '../kubernetes/manifest.ts';
import { DEFAULTS } from './defaults.ts';

/** The half that asks API servers. */
export function psatServerManifest(data: string): SandboxManifest {
  return clustersManifest(data, 'kube_config_file');
}

/** The half in the pod: the folder of its token, which the kubelet replaces. */
export function psatAgentManifest(data: string): SandboxManifest {
  const path = findSettings(data, ['token_path']).get('token_path') ?? DEFAULTS.tokenPath;
  return { user: 'own', network: 'none', readable: [dirname(resolve(path))] };
}
