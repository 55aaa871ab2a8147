import { expect, test } from 'vitest';
import { parseCgroups } from '../../../src/plugins/container/cgroups.ts';
import { findContainer } from '../../../src/plugins/container/find-container.ts';
import { parseMountedCgroups } from '../../../src/plugins/container/mounted-cgroups.ts';

const id = '0123456789abcdef'.repeat(4);
const other = 'fedcba9876543210'.repeat(4);
const uid = '2c48913c-b29f-11e7-9350-020968147796';
const otherUid = uid.replace('2c', '3d');

const cgroups = (...lines: readonly string[]) => parseCgroups(`${lines.join('\n')}\n`);

test('version 1: all hierarchies name the same', () => {
  expect(
    findContainer(cgroups(`9:name=systemd:/docker/${id}`, `8:pids:/docker/${id}`, `1:cpu,cpuacct:/docker/${id}`)),
  ).toEqual({
    containerId: id,
    places: [9, 8, 1].map((hierarchy) => ({ hierarchy, path: `/docker/${id}` })),
  });
});

test('version 2: one line, whose path is that of the container though its init system made more', () => {
  expect(findContainer(cgroups(`0::/system.slice/docker-${id}.scope/init.scope`))).toEqual({
    containerId: id,
    places: [{ hierarchy: 0, path: `/system.slice/docker-${id}.scope` }],
  });
});

test('hybrid: lines that name none do not count', () => {
  expect(findContainer(cgroups('9:name=systemd:/', `8:pids:/../${id}`, '0::/'))).toEqual({
    containerId: id,
    places: [{ hierarchy: 8, path: `/../${id}` }],
  });
});

test('a pod goes before the node that is a container', () => {
  const found = findContainer(
    cgroups(
      `11:memory:/docker/${other}/kubepods/besteffort/pod${uid}/${id}`,
      `1:cpuset:/docker/${other}/kubepods/besteffort/pod${uid}/${id}`,
      `0::/docker/${other}/system.slice/containerd.service`,
    ),
  );
  expect(found).toMatchObject({ containerId: id, podUid: uid });
  expect(found?.places.map(({ hierarchy }) => hierarchy)).toEqual([11, 1]);
});

test.each([
  ['containers', [`8:pids:/docker/${id}`, `0::/docker/${other}`], id, other],
  ['containers', [`8:pids:/kubepods/pod${uid}/${id}`, `0::/kubepods/pod${uid}/${other}`], id, other],
  ['pods', [`8:pids:/kubepods/pod${uid}/${id}`, `0::/kubepods/pod${otherUid}/${id}`], uid, otherUid],
])('two %s are refused', (what, lines, one, two) => {
  expect(() => findContainer(cgroups(...lines))).toThrow(
    expect.objectContaining({
      code: 'ATTESTATION_DENIED',
      message: `the cgroups of the process name two ${what}, ${one} and ${two}`,
    }),
  );
});

test('a process in no container', () => {
  expect(findContainer(cgroups('4:memory:/user.slice', '0::/init.scope'))).toBeUndefined();
  expect(findContainer([])).toBeUndefined();
});

test('a path may have colons and whatever else but a line feed', () => {
  expect(parseCgroups('0::/a:b\n1:cpu:/\r/\u2028\n')).toEqual([
    { hierarchy: 0, controllers: '', path: '/a:b' },
    { hierarchy: 1, controllers: 'cpu', path: '/\r/\u2028' },
  ]);
});

test.each(['x', ':::', '1:a', '1:a:b', `-1::/docker/${id}`])(
  'the line %j is none of cgroups(7), and refused',
  (line) => {
    expect(() => parseCgroups(`0::/a\n${line}\n`)).toThrow(/cgroups is none/);
  },
);

test('mounts: the roots of cgroup file systems alone', () => {
  const mounted = parseMountedCgroups(
    [
      '1176 1035 0:54 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A',
      `1189 1188 0:33 /docker/${id} /sys/fs/cgroup/systemd ro,nosuid master:9 - cgroup cgroup rw,xattr,name=systemd`,
      `1190 1188 0:30 /../with\\040space /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate`,
      `1191 1188 8:1 /var/lib/docker/containers/${other}/hostname /etc/hostname rw - ext4 /dev/sda1 rw`,
      'nonsense - cgroup cgroup rw',
      '',
    ].join('\n'),
  );
  expect(mounted).toEqual([
    { hierarchy: Number.NaN, controllers: 'xattr,name=systemd', path: `/docker/${id}` },
    { hierarchy: 0, controllers: '', path: '/../with space' },
  ]);
  expect(findContainer(mounted)?.containerId).toBe(id);
});
