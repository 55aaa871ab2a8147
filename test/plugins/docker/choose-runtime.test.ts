import { expect, test } from 'vitest';
import { chooseRuntime, isNamedByRuntime } from '../../../src/plugins/docker/choose-runtime.ts';

const id = '0123456789abcdef'.repeat(4);
const at = (...paths: readonly string[]) => ({
  containerId: id,
  places: paths.map((path, hierarchy) => ({ hierarchy, path })),
});

test.each([
  ['docker', [`/docker/${id}`]],
  ['docker', [`/system.slice/docker-${id}.scope`]],
  ['docker', [`/../${id}`]],
  ['docker', [`/user.slice/user-1000.slice/user@1000.service/docker-${id}.scope`]],
  ['docker', [`/xlibpod-${id}`]],
  ['podman', [`/machine.slice/libpod-${id}.scope`]],
  ['podman', [`/libpod_parent/libpod-${id}`]],
  ['podman', [`/libpod_parent/${id}`]],
  ['podman', [`/${id}`, `/libpod_parent/libpod-${id}`]],
])('%s has %s', (kind, paths) => {
  expect(chooseRuntime(at(...paths))).toEqual({ kind });
});

test.each([
  [1000, `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope/container`],
  [1000, `/user.slice/user-1000.slice/user@1000.service/user-0.slice/libpod-${id}.scope`],
  [65534, `/../../user.slice/user-65534.slice/libpod-${id}.scope`],
])('user %i has a Podman of his own in %s', (uid, path) => {
  expect(chooseRuntime(at(path))).toEqual({ kind: 'rootless podman', uid });
});

test.each([
  [true, `/docker/${id}`],
  [true, `/system.slice/docker-${id}.scope`],
  [true, `/libpod_parent/libpod-${id}`],
  [false, `/../${id}`],
  [false, `/kubepods/besteffort/${id}`],
  [false, `/mydocker1/${id}`],
])('%s: the runtime has named %s', (isNamed, path) => {
  expect(isNamedByRuntime(at(path))).toBe(isNamed);
});
