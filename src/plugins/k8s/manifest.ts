import { dirname, resolve } from 'node:path';
import { findSettings, readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { DEFAULTS } from './defaults.ts';

/**
 * The cgroups of everybody's processes, the network, and the folders of what shows it to the kubelet: a token or a
 * certificate is replaced while it runs, and not everybody's to read. The name of the node comes from a variable.
 */
export function k8sManifest(data: string): SandboxManifest {
  const settings = findSettings(data, [
    'kubelet_ca_path',
    'token_path',
    'certificate_path',
    'private_key_path',
    'node_name_env',
  ]);
  const { use_anonymous_authentication: anonymous, kubelet_read_only_port: readOnlyPort } = readLoosely(data);
  const isInClear = typeof readOnlyPort === 'number' && readOnlyPort > 0;
  const certificate = settings.get('certificate_path');
  const token = settings.get('token_path') ?? DEFAULTS.tokenPath;
  const paths = [
    settings.get('kubelet_ca_path') ?? DEFAULTS.caPath,
    ...(anonymous === true || certificate !== undefined ? [] : [token]),
    certificate,
    settings.get('private_key_path'),
  ];
  const folders = paths.flatMap((path) => (path === undefined ? [] : [dirname(resolve(path))]));
  return {
    user: 'own',
    network: 'all',
    readable: isInClear ? [] : [...new Set(folders)],
    capabilities: ['SYS_PTRACE', 'DAC_READ_SEARCH'],
    allProcesses: true,
    variables: [settings.get('node_name_env') ?? DEFAULTS.nodeNameVariable],
  };
}
