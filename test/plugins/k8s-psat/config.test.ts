import { expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { psatAgentConfig } from '../../../src/plugins/k8s-psat/agent-config.ts';
import { psatServerConfig } from '../../../src/plugins/k8s-psat/server-config.ts';

const readServer = (text: string) => readConfigText(psatServerConfig, text, { source: 'plugin_data' });
const readAgent = (text: string) => readConfigText(psatAgentConfig, text, { source: 'plugin_data' });
const cluster = (body: string, name = 'main') => `clusters = { "${name}" = { ${body} } }`;
const LIST = 'service_account_allow_list = ["spire:spire-agent"]';

test('what is left out is as SPIRE has it', () => {
  expect(readServer('')).toEqual({ clusters: {} });
  expect(readServer(cluster(LIST)).clusters.main).toEqual({
    service_account_allow_list: ['spire:spire-agent'],
    audience: ['spire-server'],
    kube_config_file: undefined,
    allowed_node_label_keys: [],
    allowed_pod_label_keys: [],
    use_pod_uid_for_agent_id: false,
  });
  expect(readAgent('cluster = "main"')).toEqual({ cluster: 'main', token_path: '/var/run/secrets/tokens/spire-agent' });
});

test('every key that there is, in blocks as in values', () => {
  const body = `service_account_allow_list = ["a:b", "c:d.e"]
    audience = []
    kube_config_file = "/etc/kube/config"
    allowed_node_label_keys = ["topology.kubernetes.io/zone"]
    allowed_pod_label_keys = ["app"]
    use_pod_uid_for_agent_id = true`;
  const value = readServer(`clusters = {
  "one" = {
    ${body}
  },
  "two/pods" = {
    ${body}
  }
}`);
  expect(Object.keys(value.clusters)).toEqual(['one', 'two/pods']);
  expect(readServer(`clusters { "one" { ${body} } "two/pods" { ${body} } }`)).toEqual(value);
  expect(value.clusters.one).toMatchObject({ audience: [], use_pod_uid_for_agent_id: true });
  expect(readAgent('cluster = "two/pods"\ntoken_path = "/t"')).toEqual({ cluster: 'two/pods', token_path: '/t' });
});

test.each([
  [cluster(''), /clusters\.main\.service_account_allow_list: is required/],
  [cluster('service_account_allow_list = []'), /must name a service account/],
  [cluster('service_account_allow_list = ["agent"]'), /must be a namespace and the name of a service account/],
  [cluster('service_account_allow_list = ["a:b:c"]'), /must be a namespace and the name/],
  [cluster(`${LIST}\naudience = [""]`), /leave the whole list empty/],
  [cluster(`${LIST}\naudience = "x"`), /audience: must be a list/],
  [cluster(`${LIST}\nservice_account_whitelist = []`), /service_account_whitelist: is not a known key/],
  [cluster(LIST, 'my cluster'), /clusters\["my cluster"\]: must have letters/],
  [cluster(LIST, '..'), /must have letters/],
  [cluster(LIST, 'a/../b'), /must have letters/],
])('of the server, %s is refused', (text, message) => {
  expect(() => readServer(text)).toThrow(message);
});

test.each([
  ['', /cluster: is required/],
  ['cluster = ""', /the name that the cluster has in the configuration of the server/],
  ['cluster = "a b"', /must have letters/],
  ['cluster = "a"\ntoken = "x"', /token: is not a known key: known are cluster, token_path/],
])('of the agent, %s is refused', (text, message) => {
  expect(() => readAgent(text)).toThrow(message);
});
