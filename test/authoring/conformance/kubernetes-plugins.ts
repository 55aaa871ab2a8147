import { writeFile } from 'node:fs/promises';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { builtPlugin } from '../../harness/built-programs.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { sampleToken } from '../../plugins/k8s-psat/sample-token.ts';
import { ApiStandIn, sendJson } from '../../plugins/kubernetes/api-stand-in.ts';
import { recordedExchanges } from '../../plugins/kubernetes/exchange.ts';

/** The halves of `k8s_psat`, with an API server that answers as a real one did: to one token, and to every other. */
export async function openPsat(stack: AsyncDisposableStack) {
  const { folder, api } = await openCluster(stack);
  const [refused] = recordedExchanges('changed');
  const token = sampleToken();
  api.replay(recordedExchanges('attested'));
  const { answer } = api;
  api.answer = (response, request) => {
    const { method, body } = api.arrived.at(-1) ?? {};
    const isOther = method === 'POST' && JSON.parse(body ?? '').spec.token !== token;
    if (isOther) sendJson(response, refused?.status ?? 500, refused?.body);
    else answer(response, request);
  };
  await writeFile(folder.join('token'), token);
  await writeFile(folder.join('agent.hcl'), `cluster = "main"\ntoken_path = "${folder.join('token')}"`);
  await writeFile(
    folder.join('server.hcl'),
    `clusters = { "main" = {
      service_account_allow_list = ["spire:spire-agent"]
      kube_config_file = "${folder.join('kubeconfig')}"
    } }`,
  );
  const half = (side: 'server' | 'agent') => ({
    command: process.execPath,
    args: [builtPlugin(side, 'k8s-psat')],
    configFile: folder.join(`${side}.hcl`),
    name: 'k8s_psat',
  });
  return { agent: half('agent'), server: half('server') };
}

/** `k8s_configmap`, with an API server that takes what it is given. */
export async function openConfigMap(stack: AsyncDisposableStack) {
  const { folder, api } = await openCluster(stack);
  api.answer = (response) => sendJson(response, 200, JSON.parse(api.arrived.at(-1)?.body ?? ''));
  await writeFile(
    folder.join('server.hcl'),
    `clusters = { "main" = {
      namespace = "spire"
      configmap_name = "bundle"
      configmap_key = "bundle"
      format = "spiffe"
      kubeconfig_path = "${folder.join('kubeconfig')}"
    } }`,
  );
  return {
    command: process.execPath,
    args: [builtPlugin('server', 'k8s-configmap')],
    configFile: folder.join('server.hcl'),
    name: 'k8s_configmap',
  };
}

async function openCluster(stack: AsyncDisposableStack) {
  const folder = stack.use(await createTemporaryFolder());
  const api = stack.use(await ApiStandIn.start(stack.use(await TestAuthority.create())));
  await api.writeKubeconfig(folder.join('kubeconfig'));
  return { folder, api };
}
