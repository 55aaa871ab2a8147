import { describe, expect, test } from 'vitest';
import { findContainerPlace } from '../../../src/plugins/container/container-place.ts';

const id = '0123456789abcdef'.repeat(4);
const other = 'fedcba9876543210'.repeat(4);
const uid = '2c48913c-b29f-11e7-9350-020968147796';
const under = uid.replaceAll('-', '_');
const hash = 'd41d8cd98f00b204e9800998ecf8427e';

describe('a container', () => {
  test.each([
    ['Docker, cgroupfs', `/docker/${id}`, `/docker/${id}`],
    ['Docker, systemd', `/system.slice/docker-${id}.scope`, `/system.slice/docker-${id}.scope`],
    ['a reader in a namespace of its own', `/../${id}`, `/../${id}`],
    ['the same, with systemd', `/../docker-${id}.scope`, `/../docker-${id}.scope`],
    ['a parent of its own', `/my.slice/batch/${id}`, `/my.slice/batch/${id}`],
    ['an init system inside', `/docker/${id}/system.slice/cron.service`, `/docker/${id}`],
    ['Docker in Docker', `/docker/${other}/docker/${id}`, `/docker/${other}/docker/${id}`],
    ['Podman, cgroupfs', `/libpod_parent/libpod-${id}`, `/libpod_parent/libpod-${id}`],
    [
      'Podman, rootless',
      `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope/container`,
      `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`,
    ],
    ['containerd', `/default/${id}`, `/default/${id}`],
    ['a snapshot of garden', `/system.slice/garden.service/garden/${id}`, `/system.slice/garden.service/garden/${id}`],
  ])('of %s', (_what, path, own) => {
    expect(findContainerPlace(path)).toEqual({ containerId: id, path: own });
  });

  test.each([
    ['cgroupfs', `/kubepods/burstable/pod${uid}/${id}`, uid],
    ['guaranteed', `/kubepods/pod${uid}/${id}`, uid],
    [
      'systemd',
      `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${under}.slice/cri-containerd-${id}.scope`,
      uid,
    ],
    ['CRI-O', `/kubepods.slice/kubepods-pod${under}.slice/crio-${id}.scope`, uid],
    ['colons', `/system.slice/containerd.service/kubepods-besteffort-pod${under}.slice:cri-containerd:${id}`, uid],
    ['kind', `/docker/${other}/kubelet/kubepods/besteffort/pod${uid}/${id}`, uid],
    [
      'kind, a slice',
      `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${under}.slice/cri-containerd-${id}.scope`,
      uid,
    ],
    ['beside the reader’s pod', `/../../pod${uid}/${id}`, uid],
    ['inside the reader’s slice', `/../../kubepods-pod${under}.slice/cri-containerd-${id}.scope`, uid],
    ['a pod from a file', `/kubepods/burstable/pod${hash}/${id}`, hash],
  ])('of a pod: %s', (_what, path, podUid) => {
    expect(findContainerPlace(path)).toEqual({ containerId: id, podUid, path });
  });

  test('has the UID of the pod that is nearest', () => {
    const inner = uid.replace('2c', '3d');
    expect(findContainerPlace(`/kubepods/pod${uid}/${other}/kubepods/pod${inner}/${id}`)?.podUid).toBe(inner);
  });
});

describe('no container', () => {
  test.each([
    '/',
    '',
    '/..',
    '/init.scope',
    '/user.slice/user-1000.slice/session-2.scope',
    `/docker/${id.slice(1)}`,
    `/docker/${id}0`,
    `/docker/x${id}`,
    `/docker/${id}_x`,
    `/docker/${id.toUpperCase()}`,
    `/docker/${id.replace('0', 'g')}`,
    `/docker/${id.slice(0, 32)}/${id.slice(32)}`,
    `/kubepods/burstable/pod${uid}`,
    `/machine.slice/libpod-conmon-${id}.scope`,
    `/kubepods/pod${uid}/crio-conmon-${id}`,
  ])('%s', (path) => {
    expect(findContainerPlace(path)).toBeUndefined();
  });

  test.each([`/kubepods/mypod${uid}/${id}`, `/kubepods/pod${uid}0/${id}`, `/pod${uid.slice(1)}/${id}`, `/pod/${id}`])(
    'or no pod: %s',
    (path) => {
      expect(findContainerPlace(path)).toEqual({ containerId: id, path });
    },
  );
});

describe('any text', () => {
  const pieces = [
    '/',
    '..',
    'docker',
    '-',
    ':',
    '.scope',
    'pod',
    uid,
    under,
    id,
    other,
    'conmon-',
    ' ',
    'é',
    '\0',
    '_',
    '0',
  ];

  test('gives an ID that stands in it, below a path that it begins with', () => {
    let seed = 7;
    const next = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    let found = 0;
    for (let run = 0; run < 20_000; run++) {
      const path = Array.from({ length: next(12) }, () => pieces[next(pieces.length)]).join('');
      const place = findContainerPlace(path);
      if (place === undefined) continue;
      found++;
      expect([id, other]).toContain(place.containerId);
      expect(path.startsWith(place.path) && place.path.includes(place.containerId)).toBe(true);
      expect([undefined, uid]).toContain(place.podUid);
    }
    expect(found).toBeGreaterThan(1_000);
  });

  test('of a length that is hostile takes no longer than its length asks', () => {
    const long = `/${'pod'.repeat(100_000)}/${'0'.repeat(300_000)}/${'a/'.repeat(100_000)}${id}`;
    expect(findContainerPlace(long)?.containerId).toBe(id);
  });
});
