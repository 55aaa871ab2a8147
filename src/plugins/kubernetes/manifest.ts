import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { SERVICE_ACCOUNT_FOLDER, SERVICE_VARIABLES } from './defaults.ts';

const MAX_KUBECONFIG_BYTES = 1024 * 1024;
const FIELDS = '(?:certificate-authority|client-certificate|client-key|tokenFile)';
const IN_JSON = new RegExp(`"${FIELDS}"[ \\t]*:[ \\t]*"([^"\\n]+)"`, 'g');
const IN_YAML = new RegExp(`^[ \\t-]*${FIELDS}[ \\t]*:[ \\t]+(?:"([^"\\n]+)"|'([^'\\n]+)'|([^\\s"'][^\\n]*))`, 'gm');

/**
 * What a plugin needs that asks the API servers of `clusters`: the network, and the folders of kubeconfigs and of the files
 * that these name, which are replaced while it runs, and not everybody's to read.
 *
 * @param key of the setting of a cluster that names its kubeconfig; without one the cluster is that of this very pod
 */
export function clustersManifest(data: string, key: 'kube_config_file' | 'kubeconfig_path'): SandboxManifest {
  const { clusters } = readLoosely(data);
  const paths = Object.values(isObject(clusters) ? clusters : {}).map((cluster) =>
    isObject(cluster) && typeof cluster[key] === 'string' ? cluster[key] : '',
  );
  const folders = paths.flatMap((path) => (path === '' ? [SERVICE_ACCOUNT_FOLDER] : foldersOf(resolve(path))));
  return { user: 'own', network: 'all', readable: [...new Set(folders)], variables: SERVICE_VARIABLES };
}

/** The plugin itself says what is wrong with a kubeconfig that cannot be read. */
function foldersOf(kubeconfig: string): readonly string[] {
  const folder = dirname(kubeconfig);
  try {
    const status = statSync(kubeconfig);
    const isReadable = status.isFile() && status.size <= MAX_KUBECONFIG_BYTES;
    const named = isReadable ? filesNamedIn(readFileSync(kubeconfig, 'utf8')) : [];
    return [folder, ...named.map((path) => dirname(resolve(folder, path)))];
  } catch {
    return [folder];
  }
}

/** Without reading it as YAML, for which the host has no need elsewhere: one too many is a folder more to read. */
function filesNamedIn(text: string): readonly string[] {
  return [...text.matchAll(IN_JSON), ...text.matchAll(IN_YAML)].map(
    ([, double, single, plain]) => double ?? single ?? plain?.replace(/\s+#.*$/, '').trim() ?? '',
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
