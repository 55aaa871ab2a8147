import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { configMapManifest } from '../../../src/plugins/k8s-configmap/manifest.ts';
import { psatAgentManifest, psatServerManifest } from '../../../src/plugins/k8s-psat/manifest.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const IN_CLUSTER = '/var/run/secrets/kubernetes.io/serviceaccount';

test('the folders of kubeconfigs, and of the files that they name', async () => {
  await using folder = await createTemporaryFolder();
  await writeFile(
    folder.join('yaml'),
    `clusters:
- cluster:
    certificate-authority: /etc/pki/ca.crt # ours
    # certificate-authority: /not/this
users:
- user:
    client-certificate: "/quoted/path with space/c.crt"
    client-key: '../relative/c.key'
    tokenFile: /tokens/t
`,
  );
  const json = { clusters: [{ cluster: { 'certificate-authority': '/etc/other/ca.crt' } }] };
  await writeFile(folder.join('json'), JSON.stringify(json));
  const data = `clusters = {
    "a" = { kube_config_file = "${folder.join('yaml')}" }
    "b" = { kube_config_file = "${folder.join('json')}" }
    "c" = { kube_config_file = "/nowhere/config" }
    "d" = {}
  }`;
  const { readable, network, user, variables } = psatServerManifest(data);
  expect({ network, user, variables }).toEqual({
    network: 'all',
    user: 'own',
    variables: ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'],
  });
  expect(readable?.toSorted()).toEqual(
    [
      ...[folder.path, '/etc/pki', '/quoted/path with space', `${folder.path.replace(/\/[^/]*$/, '')}/relative`],
      ...['/tokens', '/etc/other', '/nowhere', IN_CLUSTER],
    ].toSorted(),
  );
});

test('the publisher has another key for the same', () => {
  expect(configMapManifest('clusters = { "a" = { kubeconfig_path = "/x/config" } }').readable).toEqual(['/x']);
  expect(configMapManifest('clusters = { "a" = {} }').readable).toEqual([IN_CLUSTER]);
  expect(configMapManifest('clusters = [').readable).toEqual([]);
});

test('the half in the pod reads its token and no more', () => {
  expect(psatAgentManifest('cluster = "a"')).toEqual({
    user: 'own',
    network: 'none',
    readable: ['/var/run/secrets/tokens'],
  });
  expect(psatAgentManifest('token_path = "/t/token"').readable).toEqual(['/t']);
});
