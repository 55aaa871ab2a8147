import { expect, test } from 'vitest';
import { findPodContainer, findPodPlace } from '../../../src/plugins/k8s/find-pod-container.ts';

const POD = '2c48913c-b29f-11e7-9350-020968147796';
const OTHER_POD = '7d9b1f8e-0000-4000-8000-0123456789ab';
const IN_SLICE = POD.replaceAll('-', '_');
const ID = '9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961';
const OTHER_ID = 'a'.repeat(64);

test.each([
  ['cgroupfs', `/kubepods/burstable/pod${POD}/${ID}`],
  ['guaranteed, by cgroupfs', `/kubepods/pod${POD}/${ID}`],
  [
    'containerd by systemd',
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${IN_SLICE}.slice/cri-containerd-${ID}.scope`,
  ],
  ['CRI-O', `/kubepods.slice/kubepods-pod${IN_SLICE}.slice/crio-${ID}.scope/container`],
  [
    'containerd without systemd, slices all the same',
    `/system.slice/containerd.service/kubepods-burstable-pod${IN_SLICE}.slice:cri-containerd:${ID}`,
  ],
  ['a node that is a container itself', `/docker/${OTHER_ID}/kubelet/kubepods/besteffort/pod${POD}/${ID}`],
  ['a reader in a pod with cgroups of its own', `/../../pod${POD}/${ID}`],
  ['what the container made below', `/kubepods/pod${POD}/${ID}/system.slice/app.service`],
])('%s', (_what, path) => {
  expect(findPodPlace(path)).toMatchObject({ podUid: POD, containerId: ID });
});

test.each([
  ['a pod that the kubelet read from a file', `/kubepods/pod${'0f'.repeat(16)}/${ID}`, '0f'.repeat(16), ID],
  [
    'a cgroup that a container called like another pod’s',
    `/kubepods/pod${POD}/${ID}/kubepods/pod${OTHER_POD}/${OTHER_ID}`,
    POD,
    ID,
  ],
  ['a container beside the reader’s', `/../${ID}`, undefined, ID],
])('%s', (_what, path, podUid, containerId) => {
  const { podUid: found, containerId: foundId } = findPodPlace(path) ?? {};
  expect([found, foundId]).toEqual([podUid, containerId]);
});

test.each([
  ['no container', '/'],
  ['a service', '/system.slice/sshd.service'],
  ['a container of no pod', `/docker/${ID}`],
  ['a container of no pod, seen from another one', `/../../docker/${ID}`],
  ['the pod itself', `/kubepods/pod${POD}`],
  ['what a person called like a pod', `/user.slice/user-1000.slice/user@1000.service/kubepods/pod${POD}/${ID}`],
  ['what a person called like a pod, seen from a cgroup beside', `/../user@1000.service/app.slice/pod${POD}/${ID}`],
  ['what a service called like a pod', `/system.slice/app.service/kubepods/pod${POD}/${ID}`],
  ['what a machine called like a pod', `/machine.slice/machine-a.scope/payload/kubepods/pod${POD}/${ID}`],
  ['a path of very many parts', `${'/a'.repeat(100)}/kubepods/pod${POD}/${ID}`],
  ['what watches a container', `/kubepods.slice/kubepods-pod${IN_SLICE}.slice/crio-conmon-${ID}.scope`],
])('%s is in no pod', (_what, path) => {
  expect(findPodPlace(path)).toBeUndefined();
});

test('this process is in no pod; one that there is not cannot be read', async () => {
  expect(await findPodContainer(process.pid)).toBeUndefined();
  await expect(findPodContainer(2 ** 30)).rejects.toMatchObject({ code: 'WORKLOAD_UNREADABLE' });
});
