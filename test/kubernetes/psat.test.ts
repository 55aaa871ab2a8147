import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { encodePayload } from '../../src/plugins/k8s-psat/payload.ts';
import { findOperatorReason } from '../../src/rpc/operator-reason.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { pluginConfig, SQL, TestHost } from '../plugin-host/go-plugins.ts';
import { ApiRelay } from './api-relay.ts';
import { ApiServer, NODE } from './api-server.ts';
import { Cluster } from './cluster.ts';
import {
  AGENT_ACCOUNT,
  agentSpec,
  createPod,
  createServerAccount,
  createToken,
  deletePod,
  NAMESPACE,
  RIGHTS,
  withClaims,
} from './psat-objects.ts';
import { record } from './record.ts';

const { signal } = new AbortController();
const resources = new AsyncDisposableStack();
let cluster: Cluster;
let api: ApiServer;
let other: ApiServer;
let relay: ApiRelay;
let catalog: PluginCatalog;
let pod: { readonly name: string; readonly uid: string };
let nodeUid: string;

const file = (name: string) => cluster.folder.join(name);

beforeAll(async () => {
  cluster = resources.use(await Cluster.start());
  api = cluster.api;
  const stranger = resources.use(await TestAuthority.create('other.example'));
  other = resources.use(await ApiServer.start(cluster.folder, stranger, 'other'));
  for (const each of [api, other]) {
    await each.ask('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    for (const name of [AGENT_ACCOUNT, 'stranger']) {
      await each.ask('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name } });
    }
  }
  const node = await api.ask('GET', `/api/v1/nodes/${NODE}`);
  nodeUid = (node as { metadata: { uid: string } }).metadata.uid;
  relay = resources.use(await ApiRelay.start(api, cluster.authority));
  const attester = await createServerAccount(api, 'attester', RIGHTS.attest);
  const nobody = await createServerAccount(api, 'nobody', []);
  await api.writeKubeconfig(file('attester'), { token: attester, port: relay.port });
  await api.writeKubeconfig(file('nobody'), { token: nobody, port: relay.port });
  await api.writeKubeconfig(file('unknown'), { token: 'unknown', port: relay.port });
  await other.writeKubeconfig(file('other'));
  pod = { name: 'agent', uid: await createPod(api, 'agent') };
  catalog = resources.use(await load());
}, 300_000);
afterAll(() => resources.disposeAsync());

const clusterBlock = (name: string, kubeconfig: string, more = '') => `"${name}" = {
      service_account_allow_list = ["${NAMESPACE}:${AGENT_ACCOUNT}"]
      kube_config_file = "${file(kubeconfig)}"
      ${more}
    }`;
const attestorData = (...blocks: readonly string[]) => `clusters = {
    ${blocks.join(',\n    ')}
  }`;

async function load(): Promise<PluginCatalog> {
  const attestor = attestorData(
    clusterBlock(
      'main',
      'attester',
      'allowed_pod_label_keys = ["app"]\nallowed_node_label_keys = ["kubernetes.io/os"]',
    ),
    clusterBlock('pods', 'attester', 'use_pod_uid_for_agent_id = true'),
    clusterBlock('own-audience', 'attester', 'audience = []'),
    clusterBlock('other', 'other'),
    clusterBlock('nobody', 'nobody'),
    clusterBlock('unknown', 'unknown'),
  );
  const plugins = [
    SQL,
    pluginConfig({ type: 'KeyManager', name: 'memory' }),
    pluginConfig({ type: 'NodeAttestor', name: 'k8s_psat', data: { text: attestor } }),
  ];
  return await new TestHost().load('server', plugins, { builtins: builtinPlugins('server') });
}

async function attest(token: string, name = 'main') {
  const [attestor] = catalog.serverNodeAttestors;
  if (attestor === undefined) throw new Error('the attestor was not loaded');
  const refuseChallenge = () => Promise.reject(new Error('there is no challenge'));
  return await attestor.attest(encodePayload({ cluster: name, token }), refuseChallenge, {
    csrPublicKey: new Uint8Array(1),
    signal,
  });
}

const audiences = ['spire-server'];

test('a token of a pod attests, with every selector', async () => {
  const token = await createToken(api, AGENT_ACCOUNT, { audiences, pod });
  const { spiffeId, selectors, canReattest } = await record(relay, 'attested', () => attest(token));
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/k8s_psat/main/${nodeUid}`);
  expect(canReattest).toBe(true);
  const values = selectors.map(({ type, value }) => `${type}:${value}`);
  expect(values).toEqual(
    expect.arrayContaining([
      'k8s_psat:cluster:main',
      `k8s_psat:agent_ns:${NAMESPACE}`,
      `k8s_psat:agent_sa:${AGENT_ACCOUNT}`,
      `k8s_psat:agent_pod_name:${pod.name}`,
      `k8s_psat:agent_pod_uid:${pod.uid}`,
      `k8s_psat:agent_node_name:${NODE}`,
      `k8s_psat:agent_node_uid:${nodeUid}`,
      'k8s_psat:agent_node_label:kubernetes.io/os:linux',
      'k8s_psat:agent_pod_label:app:agent',
    ]),
  );
  expect(values.filter((value) => value.includes('_label:'))).toHaveLength(2);
});

test('the agent may be called after its pod, and a token may be for the API server', async () => {
  const token = await createToken(api, AGENT_ACCOUNT, { audiences, pod });
  expect((await attest(token, 'pods')).spiffeId).toBe(`spiffe://example.org/spire/agent/k8s_psat/pods/pod/${pod.uid}`);
  const forApi = await createToken(api, AGENT_ACCOUNT, { pod });
  expect((await record(relay, 'own-audience', () => attest(forApi, 'own-audience'))).spiffeId).toContain(
    '/own-audience/',
  );
});

describe('refused is', () => {
  const past = () => Math.floor(Date.now() / 1000) - 3600;
  test.each([
    [
      'a token for another audience',
      'wrong-audience',
      () => createToken(api, AGENT_ACCOUNT, { audiences: ['vault'], pod }),
      /it is for "vault" and not for "spire-server"/,
    ],
    [
      'a token for the API server',
      'audience-of-api-server',
      () => createToken(api, AGENT_ACCOUNT, { pod }),
      /and not for "spire-server"/,
    ],
    [
      'a token of a service account and no pod',
      'no-pod',
      () => createToken(api, AGENT_ACCOUNT, { audiences }),
      /"spire:spire-agent" and of no pod/,
    ],
    [
      'a token of another service account',
      'wrong-service-account',
      async () => {
        const uid = await createPod(api, 'strange', { serviceAccountName: 'stranger' });
        return await createToken(api, 'stranger', { audiences, pod: { name: 'strange', uid } });
      },
      /"spire:stranger" is not in the service_account_allow_list of cluster "main"/,
    ],
    [
      'a token of another cluster',
      'other-cluster',
      async () => {
        const uid = await createPod(other, 'agent');
        return await createToken(other, AGENT_ACCOUNT, { audiences, pod: { name: 'agent', uid } });
      },
      /does not take the token.*is it that of another cluster/,
    ],
    [
      'a token that has expired',
      'expired',
      async () =>
        withClaims(api, await createToken(api, AGENT_ACCOUNT, { audiences, pod }), { exp: past(), iat: past() - 60 }),
      /does not take the token.*it expired 3[56]\d\d s ago/,
    ],
    [
      'a token that is not valid yet',
      'not-yet-valid',
      async () => withClaims(api, await createToken(api, AGENT_ACCOUNT, { audiences, pod }), { nbf: past() + 7200 }),
      /does not take the token/,
    ],
    [
      'a token that was changed',
      'changed',
      async () => {
        const [header, , signature] = (await createToken(api, AGENT_ACCOUNT, { audiences, pod })).split('.');
        const [, claims] = (await createToken(api, AGENT_ACCOUNT, { audiences: ['vault'], pod })).split('.');
        return `${header}.${claims}.${signature}`;
      },
      /does not take the token/,
    ],
  ])('%s', async (_what, name, tokenOf, message) => {
    const token = await tokenOf();
    await expect(record(relay, name, () => attest(token))).rejects.toThrow(message);
  });

  test('a token of a pod that is gone', async () => {
    const uid = await createPod(api, 'leaving');
    const token = await createToken(api, AGENT_ACCOUNT, { audiences, pod: { name: 'leaving', uid } });
    await attest(token);
    await deletePod(api, 'leaving');
    // At first by this plugin, as the API server takes the token still; then by that too.
    await expect
      .poll(() => record(relay, 'pod-gone', () => attest(token)).catch(String), { timeout: 60_000 })
      .toMatch(/pod "spire\/leaving" of the token is gone|does not take the token/);
  });

  test('a token of a pod whose name another has now', async () => {
    const uid = await createPod(api, 'again');
    const token = await createToken(api, AGENT_ACCOUNT, { audiences, pod: { name: 'again', uid } });
    await deletePod(api, 'again');
    await expect
      .poll(() => createPod(api, 'again').catch(() => undefined), { timeout: 60_000, interval: 500 })
      .toBeDefined();
    await expect(record(relay, 'pod-replaced', () => attest(token))).rejects.toThrow(
      /is another than that of the token|does not take the token/,
    );
  });

  test.each([
    ['a server without the rights', 'nobody', /status 403.*cannot create resource.*"create" on "tokenreviews"/],
    ['a server that the cluster does not know', 'unknown', /does not know the token or certificate.*status 401/],
  ])('%s, and the operator is told', async (_what, name, message) => {
    const token = await createToken(api, AGENT_ACCOUNT, { audiences, pod });
    const failure = await record(relay, name, () => attest(token, name)).catch((error: Error) => error);
    expect(failure).toMatchObject({
      message: expect.stringContaining(`API server of cluster "${name}" could not be asked`),
    });
    expect(findOperatorReason(failure)).toMatch(message);
  });
});

test('an agent in a pod attests with the token that the kubelet projects', async () => {
  await using domain = await TestDomain.start({
    plugins: `KeyManager "memory" {}
  NodeAttestor "k8s_psat" { plugin_data { ${attestorData(clusterBlock('main', 'attester'))} } }`,
  });
  const folder = domain.folder.join('agent');
  await mkdir(join(folder, 'token'), { recursive: true, mode: 0o700 });
  const config = join(folder, 'agent.conf');
  await writeFile(
    config,
    `agent {
  trust_domain = "example.org"
  data_dir = "${folder}/data"
  server_address = "127.0.0.1"
  server_port = ${domain.port}
  socket_path = "${folder}/api.sock"
  trust_bundle_path = "${domain.bundlePath}"
}
plugins {
  KeyManager "memory" {}
  NodeAttestor "k8s_psat" { plugin_data { cluster = "main" token_path = "${folder}/token/spire-agent" } }
  WorkloadAttestor "unix" {}
}
`,
  );
  await createPod(api, 'real-agent', agentSpec(config, join(folder, 'log'), join(folder, 'token')));
  const agents = async () => {
    const request = { filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' };
    const { agents: found } = await domain.server.admin(AgentDefinition).listAgents(request);
    return found.map(({ id, selectors }) => ({ path: id?.path, values: selectors.map(({ value }) => value) }));
  };
  await waitForAgent(agents, join(folder, 'log'));
  const [agent] = await agents();
  expect(agent?.path).toBe(`/spire/agent/k8s_psat/main/${nodeUid}`);
  expect(agent?.values).toContain('agent_pod_name:real-agent');
  const { status } = (await api.ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods/real-agent`)) as {
    status: { hostIP: string };
  };
  expect(agent?.values).toContain(`agent_node_ip:${status.hostIP}`);
  await deletePod(api, 'real-agent');
});

async function waitForAgent(agents: () => Promise<readonly unknown[]>, log: string): Promise<void> {
  for (const end = Date.now() + 120_000; (await agents()).length === 0; await setTimeout(500)) {
    if (Date.now() < end) continue;
    throw new Error(`no agent has attested: ${await readFile(log, 'utf8').catch(String)}\n${cluster.lastLines}`);
  }
}
