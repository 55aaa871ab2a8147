import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ManifestOf } from '../config/sandbox-config.ts';
import { awsAgentManifest, awsServerManifest } from '../plugins/aws-iid/manifest.ts';
import { azureAgentManifest, azureServerManifest } from '../plugins/azure-imds/manifest.ts';
import { diskManifest } from '../plugins/disk/manifest.ts';
import { dockerManifest } from '../plugins/docker/manifest.ts';
import { gcpAgentManifest, gcpServerManifest } from '../plugins/gcp-iit/manifest.ts';
import { hashicorpVaultManifest } from '../plugins/hashicorp-vault/manifest.ts';
import { httpAgentManifest, httpServerManifest } from '../plugins/http-challenge/manifest.ts';
import { k8sManifest } from '../plugins/k8s/manifest.ts';
import { configMapManifest } from '../plugins/k8s-configmap/manifest.ts';
import { psatAgentManifest, psatServerManifest } from '../plugins/k8s-psat/manifest.ts';
import { memoryManifest } from '../plugins/memory/manifest.ts';
import { pkcs11Manifest } from '../plugins/pkcs11/manifest.ts';
import { sshAgentManifest, sshServerManifest } from '../plugins/sshpop/manifest.ts';
import { systemdManifest } from '../plugins/systemd/manifest.ts';
import { tpmAgentManifest, tpmServerManifest } from '../plugins/tpm/manifest.ts';
import { devidAgentManifest, devidServerManifest } from '../plugins/tpm-devid/manifest.ts';
import { tpmKeysManifest } from '../plugins/tpm-keys/manifest.ts';
import { uniqueIdManifest } from '../plugins/uniqueid/manifest.ts';
import { unixManifest } from '../plugins/unix/manifest.ts';
import { upstreamDiskManifest } from '../plugins/upstream-disk/manifest.ts';
import { upstreamSpireManifest } from '../plugins/upstream-spire/manifest.ts';
import { vaultManifest } from '../plugins/vault-client/manifest.ts';
import { popAgentManifest, popServerManifest } from '../plugins/x509pop/manifest.ts';

/** The plugins that come with the program, `<side> <type> <name>`, and what each needs of the system. */
const BUILTINS: ReadonlyMap<string, ManifestOf> = new Map<string, ManifestOf>([
  ['server KeyManager memory', memoryManifest],
  ['server KeyManager disk', diskManifest],
  ['server KeyManager tpm', tpmKeysManifest],
  ['server KeyManager hashicorp_vault', hashicorpVaultManifest],
  ['server NodeAttestor aws_iid', awsServerManifest],
  ['server NodeAttestor azure_imds', azureServerManifest],
  ['server NodeAttestor gcp_iit', gcpServerManifest],
  ['server KeyManager pkcs11', pkcs11Manifest],
  ['server NodeAttestor http_challenge', httpServerManifest],
  ['server NodeAttestor sshpop', sshServerManifest],
  ['server NodeAttestor tpm', tpmServerManifest],
  ['server NodeAttestor tpm_devid', devidServerManifest],
  ['server NodeAttestor k8s_psat', psatServerManifest],
  ['server BundlePublisher k8s_configmap', configMapManifest],
  ['server CredentialComposer uniqueid', uniqueIdManifest],
  ['server NodeAttestor x509pop', popServerManifest],
  ['server UpstreamAuthority disk', upstreamDiskManifest],
  ['server UpstreamAuthority spire', upstreamSpireManifest],
  ['server UpstreamAuthority vault', vaultManifest],
  ['agent KeyManager memory', memoryManifest],
  ['agent KeyManager disk', diskManifest],
  ['agent KeyManager tpm', tpmKeysManifest],
  ['agent NodeAttestor aws_iid', awsAgentManifest],
  ['agent NodeAttestor azure_imds', azureAgentManifest],
  ['agent NodeAttestor gcp_iit', gcpAgentManifest],
  ['agent KeyManager pkcs11', pkcs11Manifest],
  ['agent NodeAttestor http_challenge', httpAgentManifest],
  ['agent NodeAttestor sshpop', sshAgentManifest],
  ['agent NodeAttestor tpm', tpmAgentManifest],
  ['agent NodeAttestor tpm_devid', devidAgentManifest],
  ['agent NodeAttestor k8s_psat', psatAgentManifest],
  ['agent NodeAttestor x509pop', popAgentManifest],
  ['agent WorkloadAttestor docker', dockerManifest],
  ['agent WorkloadAttestor systemd', systemdManifest],
  ['agent WorkloadAttestor unix', unixManifest],
  ['agent WorkloadAttestor k8s', k8sManifest],
]);

/** Of plugins whose name one of another type has too, or is written in another way. */
const FOLDERS: Readonly<Record<string, string>> = {
  'UpstreamAuthority disk': 'upstream-disk',
  'UpstreamAuthority spire': 'upstream-spire',
  'UpstreamAuthority vault': 'upstream-vault',
  'KeyManager tpm': 'tpm-keys',
  'KeyManager hashicorp_vault': 'hashicorp-vault',
  'NodeAttestor aws_iid': 'aws-iid',
  'NodeAttestor azure_imds': 'azure-imds',
  'NodeAttestor gcp_iit': 'gcp-iit',
  'NodeAttestor http_challenge': 'http-challenge',
  'NodeAttestor tpm_devid': 'tpm-devid',
  'NodeAttestor k8s_psat': 'k8s-psat',
  'BundlePublisher k8s_configmap': 'k8s-configmap',
};

/** A plugin keeps little: V8 is to collect garbage sooner, so that it grows less under load. */
const SMALL_HEAP = ['--max-semi-space-size=4', '--heap-growing-percent=100'];

interface BuiltinPlugin {
  readonly command: string;
  readonly args: readonly string[];
  readonly manifest: ManifestOf;
  readonly program: readonly string[];
  readonly version?: string;
}

/**
 * Finds the executable of a built-in plugin: a bundle beside the built program, a source file beside the sources.
 *
 * @param version the program's, which is theirs.
 * @param here a file of the program
 */
export function builtinPlugins(side: 'server' | 'agent', version?: string, here = fileURLToPath(import.meta.url)) {
  return (type: string, name: string): BuiltinPlugin | undefined => {
    const manifest = BUILTINS.get(`${side} ${type} ${name}`);
    if (manifest === undefined) return undefined;
    const folder = FOLDERS[`${type} ${name}`] ?? name;
    const isSource = here.endsWith('.ts');
    const root = join(dirname(here), ...(isSource ? ['..', '..'] : ['..']));
    const path = isSource
      ? join(root, 'src', 'plugins', folder, `${side}.main.ts`)
      : join(dirname(here), 'plugins', `${side}-${folder}.js`);
    const parts = [
      ...(isSource ? ['src', 'node_modules'] : ['dist']),
      'package.json',
      join('native', 'build', 'Release'),
    ];
    const program = parts.map((part) => join(root, part));
    return {
      command: process.execPath,
      args: [...SMALL_HEAP, path],
      manifest,
      program,
      ...(version === undefined ? {} : { version }),
    };
  };
}
