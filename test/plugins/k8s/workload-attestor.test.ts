import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import { containersOf, parsePodList } from '../../../src/plugins/k8s/parse-pod-list.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../../plugin-host/go-plugins.ts';
import { json, KubeletStandIn } from './kubelet-stand-in.ts';
import { PodProcess } from './pod-process.ts';
import { RECORDED_PODS } from './recorded-pods.ts';
import { samplePod, samplePodList, sampleStatus } from './sample-pods.ts';

// The plugin as an agent runs it, in its sandbox, with processes in cgroups that are called like those of pods.
const resources = new AsyncDisposableStack();
const RETRY_MS = 20;
const { signal } = new AbortController();
/** What would be the kubelet's cgroupRoot. */
const cgroupRoot = `/assayer-test-${randomUUID()}`;
const place = { podUid: randomUUID(), containerId: randomBytes(32).toString('hex') };
const otherContainer = randomBytes(32).toString('hex');
const LISTED = samplePodList(samplePod('till', { uid: place.podUid, ids: [place.containerId, otherContainer] }));
const NOT_YET = samplePodList(samplePod('till', { uid: place.podUid, ids: [otherContainer] }));

let folder: TemporaryFolder;
let authority: TestAuthority;
let kubelet: KubeletStandIn;
let workload: PodProcess;
let catalog: PluginCatalog;
let settings: string;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  authority = resources.use(await TestAuthority.create());
  const credential = await authority.issueLeaf({ dnsNames: ['node-1'] });
  kubelet = resources.use(await KubeletStandIn.start({ authority, credential }));
  kubelet.tokens = ['secret'];
  await writeFile(folder.join('token'), 'secret', { mode: 0o600 });
  settings = `kubelet_secure_port = ${kubelet.port}
    kubelet_ca_path = "${await authority.writeCertificate()}"
    token_path = "${folder.join('token')}"
    cgroup_root = "${cgroupRoot}"
    max_poll_attempts = 3
    poll_retry_interval = "${RETRY_MS}ms"`;
  workload = resources.use(await PodProcess.start(place, cgroupRoot));
  catalog = resources.use(await load(settings));
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  await pause(RETRY_MS); // for so long at most, the list of the test before counts as new
  kubelet.answer = json(JSON.stringify(LISTED));
  kubelet.clients.length = 0;
});

async function load(data: string): Promise<PluginCatalog> {
  const memory = pluginConfig({ type: 'KeyManager', name: 'memory' });
  const k8s = pluginConfig({ type: 'WorkloadAttestor', name: 'k8s', data: { text: data } });
  return await new TestHost().load('agent', [JOIN_TOKEN, memory, k8s], { builtins: builtinPlugins('agent') });
}

async function attest(pid: number, from = catalog): Promise<readonly string[] | undefined> {
  const selectors = await from.workloadAttestors[0]?.attest(pid, signal);
  return selectors?.map(({ type, value }) => `${type}:${value}`);
}

/** Answers with each in turn, and with the last from then on. */
function inTurn(...lists: readonly unknown[]): void {
  let next = 0;
  kubelet.answer = (response) => {
    const list = lists[Math.min(next++, lists.length - 1)];
    if (typeof list === 'number') response.writeHead(list).end();
    else json(JSON.stringify(list))(response);
  };
}

test('a process in a container of a pod', async () => {
  const selectors = await attest(workload.pid);
  expect(selectors).toContain('k8s:ns:shop');
  expect(selectors).toContain('k8s:pod-owner-uid:ReplicaSet:rs-of-till');
  expect(selectors).toContain('k8s:container-name:main-0');
  expect(selectors).not.toContain('k8s:container-name:main-1');
});

test('a process in each container that a real kubelet listed', async () => {
  kubelet.answer = json(RECORDED_PODS);
  const [pod] = parsePodList(Buffer.from(RECORDED_PODS));
  for (const { name, containerId = '' } of pod === undefined ? [] : containersOf(pod)) {
    await using recorded = await PodProcess.start({ podUid: pod?.uid ?? '', containerId }, cgroupRoot);
    const selectors = await attest(recorded.pid);
    expect(selectors?.filter((selector) => /:(container-name|sa):/.test(selector))).toEqual([
      'k8s:sa:clerk',
      `k8s:container-name:${name}`,
    ]);
  }
  expect(kubelet.clients.length).toBeGreaterThan(0);
});

test('a process in no pod is nothing to Kubernetes, and the kubelet is not asked', async () => {
  expect(await attest(process.pid)).toEqual([]);
  expect(kubelet.clients).toEqual([]);
});

test.each([
  ['a container of Docker', `/assayer-test-${randomUUID()}/docker/${'e'.repeat(64)}`],
  ['a container of another runtime, called as it likes', `/assayer-test-${randomUUID()}/kubelet`],
  ['a service', `/assayer-test-${randomUUID()}/app.service`],
])('what %s made below its own cgroup, and called like the pod, is nothing', async (_what, own) => {
  await using pretender = await PodProcess.start(place, own);
  await expect(attest(pretender.pid)).rejects.toThrow(
    `names pod ${place.podUid} where no kubelet of this node makes cgroups, so that a workload may have made it`,
  );
  expect(kubelet.clients).toEqual([]);
});

test('a hundred callers at once are one request', async () => {
  // As long as a kubelet with many pods may take: all callers have come when it answers.
  kubelet.answer = (response) => setTimeout(() => json(JSON.stringify(LISTED))(response), 500);
  const answers = await Promise.all(Array.from({ length: 100 }, () => attest(workload.pid)));
  expect(kubelet.clients).toHaveLength(1);
  expect(new Set(answers.map(String)).size).toBe(1);
  expect(answers[0]).toContain('k8s:pod-name:till');
});

test.each(['initContainerStatuses', 'ephemeralContainerStatuses'])('a container among %s', async (kind) => {
  const status = { containerStatuses: [], [kind]: [sampleStatus('other', place.containerId)] };
  inTurn(samplePodList(samplePod('till', { uid: place.podUid, status } as object)));
  expect(await attest(workload.pid)).toContain('k8s:container-name:other');
});

test.each([
  ['whose pod is not listed yet', [samplePodList(), LISTED]],
  ['that its pod does not list yet', [NOT_YET, NOT_YET, LISTED]],
  ['while the kubelet is busy', [503, 429, LISTED]],
])('a container %s is asked for again', async (_what, lists) => {
  inTurn(...lists);
  expect(await attest(workload.pid)).toContain('k8s:container-name:main-0');
  expect(kubelet.clients).toHaveLength(lists.length);
});

test.each([
  ['that is never listed', [NOT_YET], /did not list container [0-9a-f]{64} of pod .* in 3 attempts/, 3],
  [
    'that is listed for another pod',
    [samplePodList(samplePod('other', { ids: [place.containerId] }))],
    /did not list container/,
    3,
  ],
  ['where the kubelet refuses', [403], /allow it "get" on "nodes\/proxy"/, 1],
  ['where the kubelet is never well', [503], /status 503/, 3],
  ['where the answer is no list of pods', [{ kind: 'Status' }], /is no list of pods/, 1],
])('a container %s gets an error that says so', async (_what, lists, message, requests) => {
  inTurn(...lists);
  await expect(attest(workload.pid)).rejects.toThrow(message);
  expect(kubelet.clients).toHaveLength(requests);
});

test('without selectors of containers a pod is enough', async () => {
  inTurn(NOT_YET);
  await using other = await load(`${settings}\ndisable_container_selectors = true`);
  const selectors = await attest(workload.pid, other);
  expect(selectors).toContain('k8s:pod-name:till');
  expect(selectors?.filter((selector) => selector.startsWith('k8s:container-'))).toEqual([]);
});

test('the name of the node comes from its variable, and the certificate has to have it', async () => {
  process.env.ASSAYER_TEST_NODE = 'localhost';
  await using other = await load(`${settings}\nnode_name_env = "ASSAYER_TEST_NODE"`);
  await expect(attest(workload.pid, other)).rejects.toThrow(/localhost.*another name than that of the node/);
  process.env.ASSAYER_TEST_NODE = 'not/a/node';
  await expect(load(`${settings}\nnode_name_env = "ASSAYER_TEST_NODE"`)).rejects.toThrow(/is not the name of a node/);
});

test('a file that is missing is told at the start', async () => {
  const data = settings.replace(folder.join('token'), folder.join('nothing'));
  await expect(load(data)).rejects.toThrow(/token_path: ".*\/nothing" cannot be read: ENOENT/);
});
