import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtinPlugins } from '../../src/cli/builtin-plugins.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../plugin-host/go-plugins.ts';
import { Cluster, IMAGE, NODE } from './cluster.ts';
import { addEphemeralContainer, createPod, NAMESPACE, POD } from './workload-pod.ts';

// `RECORD_KUBELET=1 npm run test:k8s` writes what the kubelet answered to test/vectors/kubelet.
const VECTORS = fileURLToPath(new URL('../vectors/kubelet', import.meta.url));
const CONTAINERS = ['first', 'main', 'side', 'debug'] as const;
const { signal } = new AbortController();
const resources = new AsyncDisposableStack();
let cluster: Cluster;
let domain: TestDomain;
let agent: TestAgent;
let podUid: string;

const file = (name: string) => cluster.folder.join(name);
const outputPathOf = (name: string) => file(`${name}.out`);

beforeAll(async () => {
  cluster = resources.use(await Cluster.start());
  await cluster.ask('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
  await writeFile(file('agent-token'), await tokenOf('agent'));
  await writeFile(file('stranger-token'), await tokenOf('stranger'));
  await allow('agent', { kind: 'ServiceAccount', name: 'agent', namespace: NAMESPACE });
  await allow('certificate', { kind: 'User', name: 'agent-by-certificate', apiGroup: 'rbac.authorization.k8s.io' });
  const { certificatePem, privateKeyPem } = await cluster.authority.issueLeaf({ commonName: 'agent-by-certificate' });
  await writeFile(file('client.pem'), certificatePem);
  await writeFile(file('client.key'), privateKeyPem);

  domain = resources.use(await TestDomain.start());
  for (const name of CONTAINERS) await domain.createEntry(`/${name}`, { selectors: selectorsOf(name) });
  await domain.createEntry('/other', { selectors: [{ type: 'k8s', value: 'sa:somebody-else' }] });
  agent = resources.use(
    await domain.startAgent('agent', {
      plugins: `${diskKeys(domain.folder.join('agent'))}
  NodeAttestor "join_token" {}
  WorkloadAttestor "k8s" { plugin_data { ${byToken('agent-token')} } }`,
    }),
  );
  await createPod(cluster, agent.running.socketPath, outputPathOf);
}, 300_000);
afterAll(() => resources.disposeAsync());

async function tokenOf(name: string): Promise<string> {
  const accounts = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`;
  await cluster.ask('POST', accounts, { metadata: { name } });
  const answer = await cluster.ask('POST', `${accounts}/${name}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3600 },
  });
  return (answer as { status: { token: string } }).status.token;
}

/** The right that docs/plugins/k8s.md names. */
async function allow(name: string, subject: object): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  await cluster.ask('POST', `/apis/${group}/v1/clusterroles`, {
    metadata: { name },
    rules: [{ apiGroups: [''], resources: ['nodes/pods'], verbs: ['get'] }],
  });
  const roleRef = { apiGroup: group, kind: 'ClusterRole', name };
  await cluster.ask('POST', `/apis/${group}/v1/clusterrolebindings`, {
    metadata: { name },
    roleRef,
    subjects: [subject],
  });
}

function selectorsOf(container: string) {
  const values = [`ns:${NAMESPACE}`, 'sa:clerk', `container-name:${container}`, `pod-label:app:till`];
  return values.map((value) => ({ type: 'k8s', value }));
}

const onPort = () => `kubelet_secure_port = ${cluster.kubeletPort}\nkubelet_ca_path = "${cluster.caPath}"\n`;
const byToken = (name: string) => `${onPort()}node_name = "${NODE}"\ntoken_path = "${file(name)}"`;

async function outputOf(name: string): Promise<string> {
  for (const end = Date.now() + 120_000; ; await setTimeout(200)) {
    const text = await readFile(outputPathOf(name), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
    if (Date.now() > end) throw new Error(`${name} wrote nothing; ${cluster.lastLines}`);
  }
}

test.each(['first', 'main', 'side'])('container %s gets its identity and no other', async (name) => {
  expect((await outputOf(name)).match(/spiffe:\/\/example\.org\/\S+/g)?.slice(0, 1)).toEqual([
    `spiffe://example.org/${name}`,
  ]);
  expect(await outputOf(name)).not.toMatch(/\/other/);
});

test('an ephemeral container gets its identity', async () => {
  await addEphemeralContainer(cluster, agent.running.socketPath, 'debug', outputPathOf('debug'));
  expect(await outputOf('debug')).toContain('spiffe://example.org/debug');
});

describe('the plugin with each way to the kubelet', () => {
  let pid: number;
  beforeAll(async () => {
    const pod = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods/${POD}`);
    podUid = (pod as { metadata: { uid: string } }).metadata.uid;
    pid = await cluster.pidOf(await containerIdOf('main'));
  });

  async function attest(data: string): Promise<readonly string[]> {
    const memory = pluginConfig({ type: 'KeyManager', name: 'memory' });
    const k8s = pluginConfig({ type: 'WorkloadAttestor', name: 'k8s', data: { text: data } });
    const builtins = builtinPlugins('agent');
    await using catalog = await new TestHost().load('agent', [JOIN_TOKEN, memory, k8s], { builtins });
    const selectors = await catalog.workloadAttestors[0]?.attest(pid, signal);
    return selectors?.map(({ value }) => value) ?? [];
  }

  test.each([
    ['a token, by the name of the node', () => byToken('agent-token')],
    ['a token, on this machine', () => `${onPort()}token_path = "${file('agent-token')}"`],
    [
      'a certificate',
      () => `${onPort()}certificate_path = "${file('client.pem')}"\nprivate_key_path = "${file('client.key')}"`,
    ],
    ['the read-only port', () => `kubelet_read_only_port = ${cluster.readOnlyPort}`],
    [
      'a kubelet that is not verified',
      () =>
        `kubelet_secure_port = ${cluster.kubeletPort}\nskip_kubelet_verification = true\ntoken_path = "${file('agent-token')}"`,
    ],
  ])('%s', async (_way, data) => {
    const selectors = await attest(data());
    expect(selectors.filter((value) => !/image:.*sha256:/.test(value)).toSorted()).toEqual(
      [
        ...[`ns:${NAMESPACE}`, 'sa:clerk', `node-name:${NODE}`, `pod-name:${POD}`, `pod-uid:${podUid}`],
        ...['pod-label:app:till', 'pod-label:tier:front', 'pod-image-count:2', 'pod-init-image-count:1'],
        ...[`pod-image:${IMAGE}`, `pod-init-image:${IMAGE}`, 'container-name:main', `container-image:${IMAGE}`],
      ].toSorted(),
    );
  });

  test.each([
    ['a token without the right', () => byToken('stranger-token'), /status 403.*"nodes\/pods"/],
    ['no name', () => `${onPort()}use_anonymous_authentication = true`, /status 403/],
    ['a token that nobody signed', () => byToken('forged-token'), /status 401/],
  ])('%s is refused, and the error says what to do', async (_way, data, message) => {
    await writeFile(file('forged-token'), 'forged');
    await expect(attest(data())).rejects.toThrow(message);
  });
});

async function containerIdOf(name: string): Promise<string> {
  const pod = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods/${POD}`);
  const { status } = pod as { status: { containerStatuses: { name: string; containerID: string }[] } };
  const found = status.containerStatuses.find((each) => each.name === name)?.containerID;
  return found?.replace(/^containerd:\/\//, '') ?? '';
}

test('what the kubelet answers is what the ordinary suite has', async () => {
  const recorded = process.env.RECORD_KUBELET === undefined ? undefined : await record();
  const pods = recorded ?? (await readFile(`${VECTORS}/pods.json`, 'utf8'));
  const ours = await podsOfKubelet();
  expect(shapeOf(JSON.parse(pods))).toEqual(shapeOf(JSON.parse(ours)));
});

async function record(): Promise<string> {
  await mkdir(VECTORS, { recursive: true });
  const checkout = fileURLToPath(new URL('../..', import.meta.url));
  const text = (await podsOfKubelet())
    .replaceAll(cluster.folder.path, '/cluster')
    .replaceAll(domain.folder.path, '')
    .replaceAll(checkout, '/assayer/');
  const indented = `${JSON.stringify(JSON.parse(text), undefined, 1)}\n`;
  await writeFile(`${VECTORS}/pods.json`, indented);
  return indented;
}

async function podsOfKubelet(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { authorization: `Bearer ${await readFile(file('agent-token'), 'utf8')}` };
  const ca = cluster.authority.certificatePem;
  request({ host: NODE, port: cluster.kubeletPort, path: '/pods', headers, ca, agent: false }, async (response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    resolve(String(Buffer.concat(chunks)));
  })
    .once('error', reject)
    .end();
  return await promise;
}

/** Which fields a list has that selectors are made of. */
function shapeOf(list: unknown) {
  const { kind, apiVersion, items } = list as { kind: string; apiVersion: string; items: Record<string, object>[] };
  return { kind, apiVersion, pods: items.map(({ metadata, status }) => [keysOf(metadata), statusNames(status)]) };
}

const keysOf = (value: object | undefined) => Object.keys(value ?? {}).sort();
const statusNames = (status: object | undefined) => keysOf(status).filter((key) => key.endsWith('ontainerStatuses'));
