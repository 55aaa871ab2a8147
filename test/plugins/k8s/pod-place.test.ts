import { describe, expect, test } from 'vitest';
import { findPodContainer } from '../../../src/plugins/k8s/find-pod-container.ts';
import { findPodPlace } from '../../../src/plugins/k8s/pod-place.ts';
import { ProcessFolder } from '../../../src/plugins/process/process-folder.ts';

const POD = '2c48913c-b29f-11e7-9350-020968147796';
const OTHER_POD = '7d9b1f8e-0000-4000-8000-0123456789ab';
const IN_SLICE = POD.replaceAll('-', '_');
const ID = '9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961';
const OTHER_ID = 'a'.repeat(64);
/** An agent that is a service of the node. */
const SERVICE = '/system.slice/assayer.service';
/** An agent in a pod that sees the paths of the node. */
const IN_POD = `/kubepods/besteffort/pod${OTHER_POD}/${OTHER_ID}`;

describe('a container of a pod', () => {
  test.each([
    ['cgroupfs', SERVICE, `/kubepods/burstable/pod${POD}/${ID}`],
    ['guaranteed, by cgroupfs', SERVICE, `/kubepods/pod${POD}/${ID}`],
    [
      'containerd by systemd',
      SERVICE,
      `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${IN_SLICE}.slice/cri-containerd-${ID}.scope`,
    ],
    ['CRI-O', SERVICE, `/kubepods.slice/kubepods-pod${IN_SLICE}.slice/crio-${ID}.scope/container`],
    ['CRI-O by cgroupfs', SERVICE, `/kubepods/burstable/pod${POD}/crio-${ID}`],
    [
      'containerd without systemd, slices all the same',
      SERVICE,
      `/system.slice/containerd.service/kubepods-burstable-pod${IN_SLICE}.slice:cri-containerd:${ID}`,
    ],
    ['what the container made below', SERVICE, `/kubepods/pod${POD}/${ID}/system.slice/app.service`],
    ['the reader in the root', '/', `/kubepods/pod${POD}/${ID}`],
    ['the reader in a pod', IN_POD, `/kubepods/burstable/pod${POD}/${ID}`],
    ['the same class of pods', IN_POD, `/kubepods/besteffort/pod${POD}/${ID}`],
    ['the very container of the reader', `/kubepods/pod${POD}/${ID}`, `/kubepods/pod${POD}/${ID}`],
    ['beside the reader in its pod', `/kubepods/pod${POD}/${OTHER_ID}`, `/kubepods/pod${POD}/${ID}`],
    [
      'kind, the reader in a pod of it',
      `/docker/${OTHER_ID}/kubelet/kubepods/pod${OTHER_POD}/${OTHER_ID}`,
      `/docker/${OTHER_ID}/kubelet/kubepods/besteffort/pod${POD}/${ID}`,
    ],
    [
      'kind, the reader a service of it',
      `/docker/${OTHER_ID}${SERVICE}`,
      `/docker/${OTHER_ID}/kubelet/kubepods/besteffort/pod${POD}/${ID}`,
    ],
    [
      'kind with slices',
      SERVICE,
      `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${IN_SLICE}.slice/cri-containerd-${ID}.scope`,
    ],
    [
      'minikube',
      `/docker/${OTHER_ID}/system.slice/a.service`,
      `/docker/${OTHER_ID}/kubepods/burstable/pod${POD}/${ID}`,
    ],
    ['a reader with cgroups of its own', '/', `/../../pod${POD}/${ID}`],
    ['and another class', '/', `/../../../burstable/pod${POD}/${ID}`],
    [
      'and slices',
      '/',
      `/../../../kubepods-burstable.slice/kubepods-burstable-pod${IN_SLICE}.slice/cri-containerd-${ID}.scope`,
    ],
    ['and the node’s root', '/', `/../../kubepods/burstable/pod${POD}/${ID}`],
    ['and what the container made below', '/', `/../../pod${POD}/${ID}/kubepods/pod${OTHER_POD}/${OTHER_ID}`],
  ])('%s', (_what, own, path) => {
    expect(findPodPlace(path, { own })).toMatchObject({ podUid: POD, containerId: ID });
  });

  test('where the kubelet has a cgroupRoot of its own', () => {
    const path = `/runtime/node/kubepods/pod${POD}/${ID}`;
    expect(findPodPlace(path, { own: SERVICE })).toBeUndefined();
    expect(findPodPlace(path, { own: '/runtime/node/kubepods/a' })).toMatchObject({ podUid: POD });
    expect(findPodPlace(path, { own: SERVICE, cgroupRoot: '/runtime/node' })).toMatchObject({ podUid: POD });
    expect(findPodPlace(`/runtime${path}`, { own: SERVICE, cgroupRoot: '/runtime/node' })).toBeUndefined();
  });
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
  ['what a container beside the reader’s called like a pod', `/../${ID}/kubepods/pod${POD}/${OTHER_ID}`, undefined, ID],
])('%s', (_what, path, podUid, containerId) => {
  const { podUid: found, containerId: foundId } = findPodPlace(path, { own: '/' }) ?? {};
  expect([found, foundId]).toEqual([podUid, containerId]);
});

describe('no pod', () => {
  test.each([
    ['no container', '/'],
    ['a service', '/system.slice/sshd.service'],
    ['a container of no pod', `/docker/${ID}`],
    ['the pod itself', `/kubepods/pod${POD}`],
    ['what watches a container', `/kubepods.slice/kubepods-pod${IN_SLICE}.slice/crio-conmon-${ID}.scope`],
    ['another name above', `/mykubepods/pod${POD}/${ID}`],
    ['something between', `/kubepods/a/pod${POD}/${ID}`],
    ['something between the pod and its container', `/kubepods/pod${POD}/a/${ID}`],
    ['a class of its own', `/kubepods/best/pod${POD}/${ID}`],
  ])('%s', (_what, path) => {
    for (const own of ['/', SERVICE, IN_POD]) expect(findPodPlace(path, { own })).toBeUndefined();
  });

  /** Whose cgroup it is that a workload may make cgroups in, by the names that runtimes give. */
  test.each([
    ['a container of Docker', `/docker/${OTHER_ID}`],
    ['a container of Docker by systemd', `/system.slice/docker-${OTHER_ID}.scope`],
    ['a container of Docker in Docker', `/docker/${ID}/docker/${OTHER_ID}`],
    ['a container of containerd', '/default/web'],
    ['a container of runc', '/web'],
    ['a container of Podman', `/machine.slice/libpod-${OTHER_ID}.scope/container`],
    ['a container of LXC', '/lxc.payload.web'],
    ['a machine', '/machine.slice/machine-a.scope/payload'],
    ['a service', '/system.slice/app.service'],
    ['containerd’s own', '/system.slice/containerd.service/web'],
    ['a person', '/user.slice/user-1000.slice/user@1000.service/app.slice'],
    ['a container that is called as one of the node’s folders', '/docker/kubelet'],
  ])('what %s called like a pod', (_what, workload) => {
    const made = [
      `/kubepods/pod${POD}/${ID}`,
      `/kubepods.slice/kubepods-pod${IN_SLICE}.slice/crio-${ID}.scope`,
      `/kubelet/kubepods/burstable/pod${POD}/${ID}`,
      `/system.slice/containerd.service/kubepods-burstable-pod${IN_SLICE}.slice:cri-containerd:${ID}`,
      `/kubepods-burstable-pod${IN_SLICE}.slice:cri-containerd:${ID}`,
      `/besteffort/pod${POD}/${ID}`,
      `/pod${POD}/${ID}`,
    ];
    const own = [
      '/',
      SERVICE,
      IN_POD,
      `/docker/${'b'.repeat(64)}`,
      '/system.slice/containerd.service',
      '/default/agent',
    ];
    for (const path of made) {
      for (const reader of own) expect(findPodPlace(`${workload}${path}`, { own: reader })).toBeUndefined();
      for (const up of ['/../..', '/../../..'])
        expect(findPodPlace(`${up}${workload}${path}`, { own: '/' })).toBeUndefined();
    }
  });

  test('what a person called like a pod who has started the agent', () => {
    const person = '/user.slice/user-1000.slice/user@1000.service';
    const path = `${person}/kubepods/pod${POD}/${ID}`;
    expect(findPodPlace(path, { own: `${person}/app.slice/agent.scope` })).toBeUndefined();
  });
});

test('this process is in no pod', async () => {
  using folder = ProcessFolder.open(process.pid);
  expect(await findPodContainer(folder)).toBeUndefined();
});
