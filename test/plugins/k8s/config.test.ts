import { expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { k8sConfig } from '../../../src/plugins/k8s/config.ts';
import { k8sManifest } from '../../../src/plugins/k8s/manifest.ts';

const read = (text: string) => readConfigText(k8sConfig, text, { source: 'plugin_data' });

test('without a key everything is as SPIRE has it', () => {
  expect(read('')).toMatchObject({
    skip_kubelet_verification: false,
    use_anonymous_authentication: false,
    max_poll_attempts: 60,
    disable_container_selectors: false,
    use_new_container_locator: true,
  });
});

test('every key that there is', () => {
  const text = `
    kubelet_secure_port = 10251
    kubelet_ca_path = "/etc/kubelet/ca.pem"
    skip_kubelet_verification = true
    certificate_path = "/etc/kubelet/client.pem"
    private_key_path = "/etc/kubelet/client.key"
    token_path = "/etc/kubelet/token"
    use_anonymous_authentication = true
    node_name_env = "NODE"
    node_name = "node-1.example.org"
    max_poll_attempts = 5
    poll_retry_interval = "100ms"
    reload_interval = "30s"
    disable_container_selectors = true
    verbose_container_locator_logs = true
    use_new_container_locator = true
    enable_namespace_labels = false
    disable_kubelet_client = false
    experimental {}`;
  expect(read(text)).toMatchObject({ kubelet_secure_port: 10251, poll_retry_interval: 100, reload_interval: 30_000 });
});

test.each([
  ['kubelet_secure_port = 1\nkubelet_read_only_port = 2', /exclude each other/],
  ['kubelet_secure_port = 65536', /must be a port/],
  ['certificate_path = "/c"', /private_key_path: is required where certificate_path is given/],
  ['private_key_path = "/k"', /certificate_path: is required where private_key_path is given/],
  ['node_name = "a/b"', /node_name: must be the name of a node/],
  ['node_name = "a:1@b"', /node_name: must be the name of a node/],
  ['node_name_env = "A-B"', /node_name_env: must be the name of an environment variable/],
  ['max_poll_attempts = -1', /max_poll_attempts/],
  ['poll_retry_interval = "0s"', /poll_retry_interval: must be more than nothing/],
  ['reload_interval = 5', /reload_interval: must be a number and a unit/],
  ['use_new_container_locator = false', /there is one way here to find a container/],
  ['enable_namespace_labels = true', /labels of namespaces are the API server’s to tell/],
  ['disable_kubelet_client = true', /the kubelet is all that this plugin asks/],
  ['api_server { cache { enabled = true } }', /needs the API server/],
  ['broker { allowed_identities = ["x"] }', /references to pods are not taken here/],
  ['sigstore {}', /signatures of images are not verified here/],
  ['experimental { sigstore { rekor_url = "x" } }', /signatures of images are not verified here/],
  ['kubelet_port = 1', /kubelet_port/],
])('%s is refused with what to do', (text, message) => {
  expect(() => read(text)).toThrow(message);
});

const ACCOUNT = '/run/secrets/kubernetes.io/serviceaccount';
test.each([
  ['', [ACCOUNT], 'MY_NODE_NAME'],
  ['kubelet_read_only_port = 10255', [], 'MY_NODE_NAME'],
  ['kubelet_ca_path = "/etc/a/ca.pem"\ntoken_path = "/etc/b/token"', ['/etc/a', '/etc/b'], 'MY_NODE_NAME'],
  ['use_anonymous_authentication = true\nkubelet_ca_path = "/etc/a/ca.pem"', ['/etc/a'], 'MY_NODE_NAME'],
  ['certificate_path = "/c/c.pem"\nprivate_key_path = "/k/k.pem"\nnode_name_env = "N"', [ACCOUNT, '/c', '/k'], 'N'],
])('%j needs the folders of its files', (text, readable, variable) => {
  expect(k8sManifest(text)).toMatchObject({ user: 'own', readable, variables: [variable] });
});
