import { expect, test } from 'vitest';
import { parsePodList } from '../../../src/plugins/k8s/parse-pod-list.ts';
import { containerSelectors, podSelectors } from '../../../src/plugins/k8s/selectors.ts';
import { RECORDED_PODS } from './recorded-pods.ts';
import { samplePod, samplePodList, sampleStatus } from './sample-pods.ts';

const parse = (value: unknown) => parsePodList(Buffer.from(JSON.stringify(value)));

test('a pod and its containers, as selectors (inventory P016)', () => {
  const status = {
    containerStatuses: [sampleStatus('main', 'c1'), { name: 'next', image: 'next:1', imageID: '', containerID: '' }],
    initContainerStatuses: [sampleStatus('init', 'c2')],
    ephemeralContainerStatuses: [sampleStatus('debug', 'c3')],
  };
  const [pod] = parse(samplePodList(samplePod('till', { status } as object)));
  const digest = `sha256:${'0'.repeat(64)}`;
  expect(pod && podSelectors(pod)).toEqual([
    'ns:shop',
    'sa:till',
    'node-name:node-1',
    'pod-uid:uid-of-till',
    'pod-name:till',
    'pod-image:registry.example/main:1',
    `pod-image:registry.example/main@${digest}`,
    'pod-image:next:1',
    'pod-image-count:2',
    'pod-init-image:registry.example/init:1',
    `pod-init-image:registry.example/init@${digest}`,
    'pod-init-image-count:1',
    'pod-label:app:till',
    'pod-owner:ReplicaSet:till-rs',
    'pod-owner-uid:ReplicaSet:rs-of-till',
  ]);
  expect(pod?.ephemeralContainers.map(containerSelectors)).toEqual([
    [
      'container-name:debug',
      'container-image:registry.example/debug:1',
      `container-image:registry.example/debug@${digest}`,
    ],
  ]);
  expect(pod?.containers.map(({ containerId }) => containerId)).toEqual(['c1', undefined]);
});

test('what a real kubelet answered', () => {
  const [pod, ...others] = parsePodList(Buffer.from(RECORDED_PODS));
  expect(others).toEqual([]);
  expect(pod?.initContainers.map(({ name }) => name)).toEqual(['first']);
  expect(pod?.containers.map(({ name }) => name)).toEqual(['main', 'side']);
  expect(pod?.ephemeralContainers.map(({ containerId }) => containerId)).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
  expect(pod && podSelectors(pod).filter((selector) => !/uid|image:sha256/.test(selector))).toEqual([
    ...['ns:shop', 'sa:clerk', 'node-name:localhost', 'pod-name:till', 'pod-image:docker.io/assayer/busybox:1'],
    ...['pod-image-count:2', 'pod-init-image:docker.io/assayer/busybox:1', 'pod-init-image-count:1'],
    ...['pod-label:app:till', 'pod-label:tier:front'],
  ]);
});

test.each([
  ['no pods', samplePodList(), 0],
  ['null for no pods, as Go writes it', { kind: 'PodList', apiVersion: 'v1', items: null }, 0],
  ['a pod of which nothing has begun', samplePodList({ ...samplePod('new'), status: {} }), 1],
  [
    'a pod without labels and owners',
    samplePodList({ ...samplePod('bare'), metadata: { name: 'a', namespace: 'b', uid: 'c' } }),
    1,
  ],
])('%s', (_what, list, count) => {
  expect(parse(list)).toHaveLength(count);
});

const badPod = (change: object) => samplePodList(samplePod('good'), { ...samplePod('bad'), ...change });
test.each([
  ['no JSON', '{"kind":', /is no JSON/],
  ['no UTF-8', Buffer.of(0x22, 0xff, 0x22), /is no JSON/],
  ['a text', '"hello"', /is no list of pods: the whole/],
  ['another list', JSON.stringify({ ...samplePodList(), kind: 'NodeList' }), /is no list of pods: kind/],
  ['another version', JSON.stringify({ ...samplePodList(), apiVersion: 'v2' }), /is no list of pods: apiVersion/],
  ['items that are none', JSON.stringify({ ...samplePodList(), items: {} }), /is no list of pods: items/],
  ['a pod without metadata', JSON.stringify(badPod({ metadata: null })), /items\.1\.metadata/],
  [
    'a pod without a UID',
    JSON.stringify(badPod({ metadata: { name: 'a', namespace: 'b' } })),
    /items\.1\.metadata\.uid/,
  ],
  [
    'a label that is no text',
    JSON.stringify(badPod({ metadata: { name: 'a', namespace: 'b', uid: 'c', labels: { a: 1 } } })),
    /labels\.a/,
  ],
  [
    'a service account that is no text',
    JSON.stringify(badPod({ spec: { serviceAccountName: ['a'] } })),
    /serviceAccountName/,
  ],
  [
    'a status without a name',
    JSON.stringify(badPod({ status: { containerStatuses: [{ image: 'a' }] } })),
    /containerStatuses\.0\.name/,
  ],
  [
    'two pods with one UID',
    JSON.stringify(samplePodList(samplePod('a', { uid: 'x' }), samplePod('b', { uid: 'x' }))),
    /two pods have the UID "x"/,
  ],
  [
    'two containers with one ID',
    JSON.stringify(samplePodList(samplePod('a', { ids: ['x'] }), samplePod('b', { ids: ['x'] }))),
    /two containers have the ID "x"/,
  ],
  [
    'more pods than a node has',
    JSON.stringify(samplePodList(...Array.from({ length: 10_001 }, (_, n) => samplePod(`p${n}`)))),
    /has 10001 pods, more than 10000/,
  ],
  [
    'a list a hundred thousand levels deep',
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    /is no (list of pods|JSON)/,
  ],
])('%s is refused as a whole', (_what, body, message) => {
  expect(() => parsePodList(Buffer.from(body))).toThrow(
    expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(message) }),
  );
});

test('a label called like a property of every object is a label', () => {
  const labels = JSON.parse('{"__proto__": "a", "constructor": "b"}');
  const [pod] = parse(
    samplePodList({ ...samplePod('odd'), metadata: { name: 'a', namespace: 'b', uid: 'c', labels } }),
  );
  expect(pod && podSelectors(pod)).toContain('pod-label:constructor:b');
});
